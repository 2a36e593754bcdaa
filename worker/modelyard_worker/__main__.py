"""Entry point, run by path: puts the worker's modules in place and leaves no trace on the search path."""

import sys

if __name__ == "__main__":
    loaded_before = frozenset(sys.modules)
    import os

    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if entry != here]
    sys.path.insert(0, os.path.dirname(here))
    from modelyard_worker.life import main

    del sys.path[0]
    main(sys.argv[1:], loaded_before)
