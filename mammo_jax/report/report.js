"use strict";
// What a page does besides being read: values of figures on pointing, files of figures, hints at wide tables, and the
// viewer of cases. Everything is in the page already; nothing is fetched, and without this script all can be read.

const all = (selector, root = document) => [...root.querySelectorAll(selector)];

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// ---- figures: values of the nearest point, by pointer, touch or arrow keys

function makeFigureTalk(figure) {
  const svg = figure.querySelector(".drawing svg");
  const said = element("p", { className: "tip", role: "status", textContent: "Point at a value, or use the arrow keys." });
  const drawing = figure.querySelector(".drawing");
  drawing.after(said);
  drawing.tabIndex = 0;
  drawing.setAttribute("role", "group");
  drawing.setAttribute("aria-label", `Values of the figure ${figure.dataset.name}; arrow keys go from point to point`);
  const ring = document.createElementNS(svg.namespaceURI, "circle");
  ring.setAttribute("class", "ring");
  ring.setAttribute("r", "9");
  ring.setAttribute("fill", "none");
  svg.append(ring);
  const points = all(".point", svg).map((point) => {
    const title = point.querySelector("title");
    const text = title.textContent;
    title.remove(); // else the browser shows it a second time
    return { point, text };
  });
  let index = -1;
  const visible = (entry) => entry.point.getClientRects().length > 0;
  const centre = (entry) => {
    const box = entry.point.getBBox();
    return [box.x + box.width / 2, box.y + box.height / 2];
  };
  const show = (entry) => {
    const [x, y] = centre(entry);
    const box = entry.point.getBBox();
    ring.style.display = box.width < 40 ? "inline" : "none";
    ring.setAttribute("cx", x);
    ring.setAttribute("cy", y);
    said.textContent = entry.text;
    index = points.indexOf(entry);
  };
  const nearest = (event) => {
    const scale = svg.viewBox.baseVal.width / svg.getBoundingClientRect().width;
    const frame = svg.getBoundingClientRect();
    const at = [(event.clientX - frame.left) * scale, (event.clientY - frame.top) * scale];
    let best = null, least = 26;
    for (const entry of points.filter(visible)) {
      const [x, y] = centre(entry);
      const wide = entry.point.getBBox().width >= 40;
      const distance = wide ? (entry.point.contains(event.target) ? 25 : Infinity) : Math.hypot(at[0] - x, at[1] - y);
      if (distance < least) [best, least] = [entry, distance];
    }
    if (best) show(best);
  };
  svg.addEventListener("pointermove", nearest);
  svg.addEventListener("pointerdown", nearest);
  drawing.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const shown = points.filter(visible);
    if (!step || !shown.length) return;
    event.preventDefault();
    const at = shown.indexOf(points[index]);
    show(shown[(at + step + shown.length) % shown.length]);
  });
}

// ---- figures as files

function save(name, type, content) {
  const link = element("a", { download: name, href: URL.createObjectURL(new Blob([content], { type })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function svgText(figure) {
  const svg = figure.querySelector(".drawing svg");
  const copy = svg.cloneNode(true);
  const hidden = all("[data-layer]", svg).map((layer) => getComputedStyle(layer).display === "none");
  all("[data-layer]", copy).forEach((layer, index) => hidden[index] && layer.remove());
  all(".ring", copy).forEach((ring) => ring.remove());
  const { width, height } = svg.viewBox.baseVal;
  copy.setAttribute("xmlns", svg.namespaceURI);
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  const paper = document.createElementNS(svg.namespaceURI, "rect");
  for (const [name, value] of Object.entries({ width: "100%", height: "100%", fill: "#fff" })) paper.setAttribute(name, value);
  copy.prepend(paper);
  return copy.outerHTML;
}

function savePng(figure, name) {
  const image = new Image();
  image.onload = () => {
    const scale = 3, canvas = element("canvas", { width: image.naturalWidth * scale, height: image.naturalHeight * scale });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => save(name, "image/png", blob));
  };
  image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(svgText(figure));
}

function makeFigureFiles(figure) {
  const name = figure.dataset.name, tools = figure.querySelector(".tools");
  const values = figure.querySelector("script.values");
  const files = {
    SVG: () => save(`${name}.svg`, "image/svg+xml", svgText(figure)),
    PNG: () => savePng(figure, `${name}.png`),
    CSV: () => save(`${name}.csv`, "text/csv", JSON.parse(values.textContent)),
  };
  const buttons = Object.entries(files).map(([kind, onclick]) =>
    element("button", { type: "button", textContent: kind, title: `save ${name} as ${kind}`, onclick }));
  tools.append(element("span", { className: "files" }, "Save: ", ...buttons));
}

// ---- tables that are wider than the page

function markWideTables() {
  for (const box of all(".scroll")) box.classList.toggle("fits", box.scrollWidth <= box.clientWidth + 1);
}

// ---- cases

function makeViewer(section) {
  const viewer = section.querySelector(".viewer"), list = section.querySelector(".cases");
  const control = Object.fromEntries(all("[data-control]", viewer).map((found) => [found.dataset.control, found]));
  const part = Object.fromEntries(all("[data-role]", viewer).map((found) => [found.dataset.role, found]));
  const canvas = viewer.querySelector("canvas"), stage = viewer.querySelector(".stage"), said = viewer.querySelector(".said");
  const cases = all(".case", list).map((found) => ({
    title: found.dataset.title,
    pictures: all("img[data-ratio]", found),
    saliency: Object.fromEntries(all("img[data-saliency]", found).map((image) => [image.dataset.saliency, image])),
    outline: found.querySelector("img[data-outline]"),
  }));
  cases.forEach(({ title }, index) => control.case.append(element("option", { value: index, textContent: title })));

  const lay = (context, left, shown, image) => {
    context.drawImage(image, left, 0);
    if (control.saliency.checked && shown.saliency[image.dataset.ratio]) context.drawImage(shown.saliency[image.dataset.ratio], left, 0);
    if (control.outline.checked && shown.outline) context.drawImage(shown.outline, left, 0);
  };
  const pixels = (image) => {
    const context = element("canvas", { width: image.naturalWidth, height: image.naturalHeight }).getContext("2d");
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, image.naturalWidth, image.naturalHeight);
  };
  const difference = (first, second) => {
    const before = pixels(first), after = pixels(second);
    let largest = 0;
    for (let i = 0; i < before.data.length; i += 4) largest = Math.max(largest, Math.abs(after.data[i] - before.data[i]));
    const gain = largest ? Math.max(1, Math.floor(127 / largest)) : 1;
    for (let i = 0; i < before.data.length; i += 4) {
      const grey = 128 + gain * (after.data[i] - before.data[i]);
      before.data[i] = before.data[i + 1] = before.data[i + 2] = grey;
    }
    return { picture: before, largest, gain };
  };

  const draw = () => {
    const shown = cases[control.case.value], view = control.view.value;
    control.ratio.max = shown.pictures.length - 1;
    const first = shown.pictures[0], chosen = shown.pictures[control.ratio.value];
    const width = first.naturalWidth, height = first.naturalHeight, gap = Math.max(2, Math.round(width / 64));
    canvas.width = view === "pair" ? 2 * width + gap : width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    const sentences = [`${chosen.dataset.name}: ${chosen.dataset.facts || "no score"}.`];
    if (chosen !== first && first.dataset.facts) sentences.push(`Uncompressed: ${first.dataset.facts}.`);
    if (view === "pair") {
      lay(context, 0, shown, first);
      lay(context, width + gap, shown, chosen);
      sentences.unshift(`Left: uncompressed; right: ${chosen.dataset.name}.`);
    } else if (view === "slider") {
      const edge = Math.round((width * control.divider.value) / 100);
      lay(context, 0, shown, chosen);
      context.save();
      context.beginPath();
      context.rect(0, 0, edge, height);
      context.clip();
      lay(context, 0, shown, first);
      context.restore();
      context.fillStyle = "#ffd166";
      context.fillRect(edge, 0, 1, height);
      sentences.unshift(`Left of the line: uncompressed; right: ${chosen.dataset.name}.`);
    } else if (view === "difference") {
      const { picture, largest, gain } = difference(first, chosen);
      context.putImageData(picture, 0, 0);
      if (control.outline.checked && shown.outline) context.drawImage(shown.outline, 0, 0);
      sentences.unshift(`${chosen.dataset.name} less uncompressed, ${gain} times; grey is no difference. The largest is ${largest} of 255 grey levels.`);
    } else lay(context, 0, shown, chosen);
    const zoom = Number(control.zoom.value);
    canvas.style.width = zoom ? `${canvas.width * zoom}px` : view === "pair" ? "100%" : "min(100%, 36rem)";
    part.divider.hidden = view !== "slider";
    part.ratio.textContent = chosen.dataset.name;
    control.ratio.setAttribute("aria-valuetext", chosen.dataset.name);
    control.outline.disabled = !shown.outline;
    control.saliency.disabled = !shown.saliency[chosen.dataset.ratio];
    said.textContent = sentences.join(" ");
    canvas.setAttribute("aria-label", `${shown.title}. ${sentences[0]}`);
  };

  const startWithBreak = () => {
    const shown = cases[control.case.value];
    const lost = /lost at CR ([\d.]+)/.exec(shown.title);
    const index = lost ? shown.pictures.findIndex((image) => Number(image.dataset.ratio) === Number(lost[1])) : -1;
    control.ratio.max = shown.pictures.length - 1;
    control.ratio.value = index > 0 ? index : shown.pictures.length - 1;
  };
  control.case.addEventListener("input", startWithBreak);
  viewer.addEventListener("input", draw);
  stage.addEventListener("pointermove", (event) => {
    if (control.view.value !== "slider" || !event.buttons) return;
    const frame = canvas.getBoundingClientRect();
    control.divider.value = (100 * (event.clientX - frame.left)) / frame.width;
    draw();
  });
  Promise.all(all("img", list).map((image) => image.decode())).then(() => {
    startWithBreak();
    draw();
    viewer.hidden = false;
    list.hidden = true;
    section.dataset.ready = "";
  });
}

all("figure.chart").forEach((figure) => { makeFigureTalk(figure); makeFigureFiles(figure); });
all("section").filter((section) => section.querySelector(".viewer")).forEach(makeViewer);
markWideTables();
addEventListener("resize", markWideTables);
all("details").forEach((details) => details.addEventListener("toggle", markWideTables));
