"""What a study's configuration says about its images and networks, in sentences for a paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mammo_jax.ratios import ratio_text
from mammo_jax.sources import LABELS
from mammo_jax.sources.datasets import DATASETS

Settings = Mapping[str, Any]

OF_SOURCE = {
    "phantom": {
        "eligibility": "Every phantom that was drawn is used.",
        "series": "Simulated images: neither consecutive patients nor a sample of patients.",
        "setting": "No clinic and no dates: the images are computed.",
        "demographics": "None: nobody was imaged. Breast size, density and lesions are drawn at random.",
        "ethics": "No person took part and no record was used: the images are drawn.",
        "privacy": "Nothing had to be de-identified: the images are drawn.",
        "reference": "Known by construction: the program drew the lesion, benign or malignant, or none.",
        "annotators": "None were needed: the program knows the place and class of each lesion that it drew.",
        "interval": "None: the truth is drawn together with the image.",
        "reference_reason": "The truth of a drawn lesion is exact; it stands for no biopsy.",
        "data_access": "The images can be drawn again, pixel for pixel, from the settings and the seed.",
    },
    "mias": {
        "eligibility": "Every mammogram of mini-MIAS whose file could be read.",
        "series": "A published research database; how its women were chosen is described by its authors.",
        "privacy": "The database was published without names.",
        "reference": "The database's class of each mammogram (normal, benign, malignant) and its marks of lesions.",
        "acquisition": "Screening film, digitised at 0.05 mm, reduced to 0.2 mm a pixel, 8 bits.",
        "data_access": "mini-MIAS is public; its licence allows research only.",
    },
    "hybrid": {
        "eligibility": "The normal mammograms of mini-MIAS whose files could be read.",
        "series": "A published research database; how its women were chosen is described by its authors.",
        "privacy": "The database was published without names.",
        "reference": "Known by construction: the program drew the lesion into a normal mammogram, or none.",
        "annotators": "None were needed: the program knows the place and class of each lesion that it drew.",
        "acquisition": "Screening film, digitised at 0.05 mm, reduced to 0.2 mm a pixel, 8 bits.",
        "interval": "None: the truth is drawn together with the image.",
        "reference_reason": "The truth of a drawn lesion is exact; it stands for no biopsy.",
        "data_access": "mini-MIAS is public, for research only; the lesions can be drawn again from the seed.",
    },
    "folder": {
        "eligibility": "Every image of the study's table whose file could be read.",
        "reference": "The classes (normal, benign, malignant) and marks in the study's table.",
    },
}


def study_facts(settings: Settings) -> dict[str, str]:
    """Return sentences by name; a fact that the configuration does not know is missing.

    Parameters
    ----------
    settings : mapping
        A study's configuration as JSON types, as config.json has it.
    """
    facts = OF_SOURCE.get(settings["source"], {}) | _images(settings) | _division(settings)
    return facts | _network(settings["training"], settings) | _training(settings["training"], settings)


def _images(settings: Settings) -> dict[str, str]:
    phantom, units = settings["phantom"], settings["units"]
    lesions = f"lesion contrast × {phantom['contrast']:g}, seed {phantom['phantom_seed']}"
    size = f"{phantom['rows']} × {phantom['columns']} pixels of {phantom['phantom_pitch']:g} mm"
    facts = {
        "phantom": {
            "data_source": f"{phantom['images']} phantom mammograms, four a patient, drawn by mammo_jax ({lesions}).",
            "acquisition": f"A simulated detector: {size}.",
        },
        "mias": {"data_source": "The mini-MIAS database of film mammograms (Suckling et al. 1994)."},
        "hybrid": {
            "data_source": f"Normal film mammograms of mini-MIAS (Suckling et al. 1994), each used "
            f"{phantom['plantings']} times, with lesions of known shape and place drawn into them ({lesions})."
        },
        "folder": {"data_source": "Image files that a table of the study lists."},
        "cbis_roi": {
            "data_source": "Regions of masses in the film mammograms of CBIS-DDSM, with biopsy results (TCIA, "
            "doi:10.7937/K9/TCIA.2016.7O02S9CY), as cut and reduced by Osuala et al. (arXiv:2407.12669)."
        },
    }.get(settings["source"]) or _published(settings)
    if settings["source"] == "folder":
        plain = settings["folder"]["plain_ids"]
        facts["privacy"] = f"Ids are {'kept as they are given' if plain else 'replaced by keyed hashes'}."
    if settings["source"] in ("phantom", "hybrid"):
        facts["severity"] = f"Size and contrast of each lesion are drawn from the phantom's ranges ({lesions})."
    target = {"malignant": "malignant against the rest", "abnormal": "abnormal against normal"}
    facts["target"] = f"Positive: {target.get(units['target'], 'a lesion against normal tissue')}."
    return facts | _units(units, settings)


def _published(settings: Settings) -> dict[str, str]:
    """Return what is known of a published data set."""
    dataset = DATASETS.get(settings["source"])
    if dataset is None:
        return {}
    chosen = settings["published"]
    part = f"its part {chosen['split']!r}" if chosen["split"] else "all published parts"
    reference = dataset.reference
    if dataset.by_birads:
        rule = "; ".join(f"{label}: {', '.join(chosen[f'birads_{label}'])}" for label in LABELS)
        reference += f" BI-RADS categories of each class: {rule}."
    return {
        "data_source": f"The {dataset.title} ({dataset.citation}), {part}.",
        "eligibility": "Every image of the published tables that has a class and whose file could be read.",
        "series": "A published research data set; how its women were chosen is described by its authors.",
        "privacy": "The data set was published without names; its own ids are kept.",
        "reference": reference,
    }


def _units(units: Settings, settings: Settings) -> dict[str, str]:
    subsets, cut = _cut(units)
    ratios = ", ".join(map(ratio_text, settings["ratios"]))
    ours = settings["codec"] == "mammo_jax"
    codec = "the JPEG 2000 encoder of mammo_jax to exactly" if ours else f"{settings['codec']} to the size nearest to"
    return {
        "subsets": subsets,
        "preprocessing": f"{cut} Grey levels are scaled by the bits stored, then each example is standardised.",
        "compression": f"Each whole image was compressed with {codec} ⌊uncompressed bytes ÷ CR⌋ bytes and "
        f"decompressed, at the ratios {ratios}; the uncompressed bytes are those of the bits allocated.",
    }


def _cut(units: Settings) -> tuple[str, str]:
    """Return what the examples are, and how they are cut from the images."""
    pixels = f"{units['input_rows']} × {units['input_columns']} pixels"
    if units["unit"] == "frame":
        return (
            "One example for each image, which is already cut to its lesion.",
            f"The whole image is averaged to {pixels}.",
        )
    box = "Box and orientation of the breast are found once, on the uncompressed image, and used at every ratio"
    if units["unit"] == "patch":
        normals = f"{units['normals_per_lesion']} matched normal patches for each"
        return (
            f"One patch for each marked lesion, and {normals}, where the source has no places of its own.",
            f"{box}; squares of {units['patch_mm']:g} mm around known places are cut out and averaged to {pixels}.",
        )
    pitch = units["input_pitch"]
    scale = "to fit" if pitch is None else f"at {pitch:g} mm a pixel, or coarser to fit"
    return (
        "One example for each view.",
        f"{box}; the box is averaged to {pixels}, {scale}, with the chest wall on the left.",
    )


def _division(settings: Settings) -> dict[str, str]:
    parts = settings["training"]["validation_parts"]
    validated = f"one in {parts} of their patients validates it" if parts > 1 else "which also validate it"
    return {
        "partition": f"{settings['folds']} folds, stratified by class, divided once from the uncompressed images (seed "
        f"{settings['fold_seed']}) and the same for every ratio. The network of a fold is trained on the others; "
        f"{validated}.",
        "disjoint": f"By patient: none is in two of the {settings['folds']} folds, and pixel-identical images of "
        "different patients stop the run.",
        "external": f"No test on data from elsewhere: the {settings['folds']} held-out folds are of the same source, "
        f"{settings['source']}.",
    }


def _network(training: Settings, settings: Settings) -> dict[str, str]:
    filters = ", ".join(map(str, training["filters"]))
    named = {
        "cnn": f"a network of three convolutional ({filters} filters) and three fully connected layers",
        "resnet18": "a ResNet18",
    }
    network = f"{named.get(training['model'], 'the network ' + training['model']).capitalize()} with one logit"
    if training["window"]:
        step = f"every {training['window_step']} pixels"
        network += f", applied to windows of {training['window']} pixels {step}, whose highest scores are pooled"
    initial = "random weights"
    if training["model"] == "resnet18" and training["pretrained"] != "none":
        initial = f"pretrained weights ({'ImageNet' if training['pretrained'] == 'imagenet' else 'of a file'})"
    if settings["features_from"]:
        initial = "the networks of a patch run of other patients"
    return {"network": f"{network}.", "initial": f"Started from {initial}."}


def _training(training: Settings, settings: Settings) -> dict[str, str]:
    augmented = "flips, rotations and small changes of contrast" if training["augment"] else "no augmentation"
    seeds = ", ".join(map(str, settings["seeds"]))
    ratios = settings["ratios"] if settings["train_ratios"] is None else settings["train_ratios"]
    trained = ", ".join(map(ratio_text, sorted({1.0, *ratios}))) + (" and all together" if settings["mixed"] else "")
    return {
        "training": f"Trained at CR {trained}, each from the seeds {seeds}: {training['optimizer']}, peak rate "
        f"{training['learning_rate']:g} after a warm-up and then cosine decay, weight decay "
        f"{training['weight_decay']:g}, batches of {training['batch_size']}, dropout {training['dropout']:g}, "
        f"{augmented}, at most {training['epochs']} epochs.",
        "selection": "The epoch with the lowest class-balanced log loss on the validation patients; training stops "
        f"after {training['patience']} epochs without a lower one. The run chooses nothing on a held-out fold.",
        "ensemble": f"None: the {settings['folds']} networks of the folds each score their own fold, and seeds "
        f"({seeds}) are averaged as AUROCs, never as scores.",
        "blind_index": f"{training['model']} gets the pixels of an example and nothing else; labels of a held-out fold "
        "are first read when its scores are compared.",
        "predictors": f"The pixels of the example alone, for {training['model']}: no clinical variable was considered.",
        "model_files": f"Every network (seeds {seeds}, {settings['folds']} folds) is in the run folder, checkpoints/.",
        "imbalance": f"The loss of {training['model']} weighs both classes equally, in training and validation; its "
        "scores are not recalibrated afterwards.",
    }
