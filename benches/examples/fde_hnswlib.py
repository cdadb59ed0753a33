"""Fixed-dimensional encodings in a graph of hnswlib.

pip install weft hnswlib
python benches/examples/fde_hnswlib.py
"""

import demo
import hnswlib


def main() -> float:
    documents, queries = demo.collection()
    encoded, asked = demo.encodings(documents, queries)
    index = hnswlib.Index(space="ip", dim=encoded.shape[1])
    index.init_index(max_elements=len(encoded), M=32, ef_construction=200)
    index.add_items(encoded)
    index.set_ef(2 * demo.CANDIDATES)
    candidates, _ = index.knn_query(asked, k=demo.CANDIDATES)
    return demo.report("hnswlib", documents, queries, candidates)


if __name__ == "__main__":
    main()
