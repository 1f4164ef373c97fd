"""Writes gguf_formats.json: blocks of every format, and what the gguf package (0.19.0) makes of them.

Half of the blocks are bytes by chance; in the others most bytes are 0x00 or 0xFF. Blocks with
scales that are not finite are left out.
"""

import base64
import json
import sys

import gguf
import numpy as np

TYPES = "F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS".split()

rng = np.random.default_rng(2026)
items = []
for name in TYPES:
    kind = gguf.GGMLQuantizationType[name]
    columns, size = gguf.GGML_QUANT_SIZES[kind]
    wanted = 64 if columns == 1 else 8 if columns == 32 else 2
    kept = []
    while len(kept) < wanted:
        block = rng.integers(0, 256, size, dtype=np.uint8)
        if len(kept) % 2 and columns > 1:
            chance = rng.random(size)
            block[chance < 0.4] = 0
            block[chance > 0.6] = 255
        with np.errstate(all="ignore"):
            wide = gguf.quants.dequantize(block[None], kind).astype("<f4").ravel()
        if np.isfinite(wide).all():
            kept.append((block, wide))
    encode = lambda parts: base64.b64encode(b"".join(part.tobytes() for part in parts)).decode()
    items.append(
        {
            "type": int(kind),
            "name": name,
            "columns": columns,
            "bytes": size,
            "blocks": encode([block for block, _ in kept]),
            "weights": encode([wide for _, wide in kept]),
        }
    )
made_by = "gguf " + __import__("importlib.metadata").metadata.version("gguf") + " (PyPI)"
with open(sys.argv[1], "w") as file:
    json.dump({"made_by": made_by, "items": items}, file, indent=1)
    file.write("\n")
