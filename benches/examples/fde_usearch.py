"""Fixed-dimensional encodings in a graph of usearch, with 16 bits a value.

pip install weft usearch
python benches/examples/fde_usearch.py
"""

import demo
import numpy as np
from usearch.index import Index


def main() -> float:
    documents, queries = demo.collection()
    encoded, asked = demo.encodings(documents, queries)
    index = Index(ndim=encoded.shape[1], metric="ip", dtype="f16", connectivity=32, expansion_search=400)
    index.add(np.arange(len(encoded)), encoded)
    matches = index.search(asked, demo.CANDIDATES)
    return demo.report("usearch", documents, queries, matches.keys.astype(np.int64))


if __name__ == "__main__":
    main()
