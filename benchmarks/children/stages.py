"""`stages FOLDER`: the command `bayesgmm analyze` on Old Faithful, and which stage each second went to."""

import time

_BEGAN = time.perf_counter()

import importlib  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
from collections import Counter  # noqa: E402
from functools import wraps  # noqa: E402

# Where the functions of each stage are looked up; what one of them spends in another counts for the other.
_STAGES = {
    "EM": [("bayesgmm.analysis.run", "fit_em")],
    "sampling: mode, whitening, results": [("bayesgmm.analysis.run", "sample_posterior")],
    "sampling: pilots": [("bayesgmm.bayes.sampling.around_mode", "choose")],
    "sampling: the chains": [("bayesgmm.bayes.sampling.around_mode", "run_until")],
    "alignment": [("bayesgmm.analysis.run", "align")],
    "diagnosis": [("bayesgmm.analysis.run", "diagnose")],
    "comparison": [("bayesgmm.analysis.run", "compare")],
    "pictures: drawing": [
        ("bayesgmm.plots", f"plot_{name}") for name in ("fit", "comparison", "trace", "rank", "energy", "convergence")
    ],
    "pictures: writing": [("matplotlib.figure.Figure", "savefig")],
    "saving numbers": [("bayesgmm.analysis.result.Analysis", "save")],
}
_spent: Counter[str] = Counter()
_open: list[float] = []  # seconds that inner stages have taken of each stage that is running


def _timed(stage, function):
    @wraps(function)
    def timed(*arguments, **options):
        _open.append(0.0)
        began = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            took = time.perf_counter() - began
            _spent[stage] += took - _open.pop()
            if _open:
                _open[-1] += took

    return timed


def _owner(path):
    """The module or class of that name."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, name = path.rsplit(".", 1)
        return getattr(importlib.import_module(module), name)


def main(folder: str) -> None:
    import bayesgmm.analysis.run
    import bayesgmm.cli

    bayesgmm.plots.plot_fit  # noqa: B018  # pictures come with their own imports
    _spent["imports"] = time.perf_counter() - _BEGAN
    for stage, places in _STAGES.items():
        for path, name in places:
            owner = _owner(path)
            setattr(owner, name, _timed(stage, getattr(owner, name)))
    sys.argv = ["bayesgmm", "analyze", "--dataset", "faithful", "--components", "2", "--seed", "1", "--out", folder]
    began = time.perf_counter()
    try:
        bayesgmm.cli.main()
    except SystemExit as end:
        if end.code:
            raise
    staged = sum(_spent.values()) - _spent["imports"]
    _spent["the command line itself"] = time.perf_counter() - began - staged
    print(json.dumps(_spent))


main(sys.argv[1])
