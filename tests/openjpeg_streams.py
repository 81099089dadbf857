"""Codestreams that OpenJPEG writes, through glymur, with all kinds of options."""

import numpy as np


def image(rows, columns, bits, seed=0):
    """Smooth structure, an edge and noise, in the full range of `bits`."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :columns]
    field = np.sin(x / 9 + seed) * np.cos(y / 13) + (x > columns // 2) + 0.1 * rng.normal(size=(rows, columns))
    field = (field - field.min()) / max(np.ptp(field), 1e-9)
    return np.round(field * (2**bits - 1)).astype(np.uint8 if bits <= 8 else np.uint16)


STREAMS = {
    "layers": {"cratios": (50, 20, 8, 3), "prog": "LRCP"},
    "lossless layers": {"irreversible": False, "cratios": (20, 5, 1), "prog": "RLCP"},
    "precincts": {"psizes": [(64, 64), (32, 32)], "cbsize": (16, 16), "prog": "RPCL"},
    "narrow code-blocks": {"cbsize": (4, 1024), "prog": "CPRL"},
    "flat code-blocks": {"cbsize": (1024, 4), "irreversible": False},
    "tiles": {"tilesize": (50, 70), "prog": "PCRL", "cratios": (20, 5)},
    "tiles at an offset": {"tilesize": (64, 64), "grid_offset": (17, 33), "irreversible": False},
    "odd offset": {"grid_offset": (1, 0), "prog": "PCRL", "psizes": [(64, 64)], "cbsize": (16, 16)},
    "subsampled": {"subsam": (2, 1), "irreversible": False, "prog": "PCRL"},
    "packet markers": {"sop": True, "eph": True, "cratios": (20, 5)},
    "bypass": {"modesw": 1, "irreversible": False},
    "reset": {"modesw": 2},
    "terminate": {"modesw": 4, "irreversible": False},
    "causal": {"modesw": 8},
    "predictable": {"modesw": 16},
    "segmentation symbols": {"modesw": 32, "cratios": (30, 6)},
    "bypass, terminate": {"modesw": 5, "cratios": (30, 6, 2)},
    "every style": {"modesw": 63, "irreversible": False, "cratios": (8, 2, 1)},
    "one resolution": {"numres": 1},
}


def write_streams(glymur, folder, shape):
    """Paths of one codestream for each of `STREAMS`."""
    paths = {}
    for number, (name, options) in enumerate(STREAMS.items()):
        paths[name] = folder / f"{number}.j2k"
        pixels = image(*shape, 8 if number % 2 else 16, number)
        glymur.Jp2k(paths[name], data=pixels, **{"irreversible": True, "numres": 4, **options})
    return paths
