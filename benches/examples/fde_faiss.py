"""Fixed-dimensional encodings in faiss, with 8 bits a value.

pip install weft faiss-cpu
python benches/examples/fde_faiss.py
"""

import demo
import faiss


def main() -> float:
    documents, queries = demo.collection()
    encoded, asked = demo.encodings(documents, queries)
    index = faiss.IndexScalarQuantizer(encoded.shape[1], faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    index.train(encoded)
    index.add(encoded)
    _, candidates = index.search(asked, demo.CANDIDATES)
    return demo.report("faiss", documents, queries, candidates)


if __name__ == "__main__":
    main()
