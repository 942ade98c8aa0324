"""Ctrl-C at any moment ends a call with KeyboardInterrupt or with what was finished, and with nothing else."""

import json

import pytest
from faults.children import run

pytestmark = pytest.mark.slow

# Calls f again and again, with SIGINT after a random part of its usual time, and prints how each call ended.
INTERRUPTING = """
import json, os, random, signal, sys, threading, time, traceback, warnings
import numpy as np
import bayesgmm as bg
warnings.simplefilter("error")
warnings.simplefilter("always", bg.errors.BayesgmmWarning)
X = bg.datasets.load_faithful()
em = bg.fit_em(X, 2, rng=1)
def sample(sampler, draws):
    return bg.sample_posterior(X, 2, start=em.parameters, sampler=sampler, draws=draws, rng=1, progress=False)
calls = {
    "fit_em": lambda: bg.fit_em(X, 4, rng=1, n_init=300),
    "standard_errors": lambda: em.standard_errors("bootstrap", n_replicates=3000, rng=1, progress=False),
    "independent": lambda: sample("independent", 20_000),
    "gibbs": lambda: sample("gibbs", 4_000),
    "nuts": lambda: sample("nuts", 4_000),
}
call, n_trials = calls[sys.argv[1]], int(sys.argv[2])
call()
began = time.perf_counter()
call()
usual = time.perf_counter() - began
draw, outcomes = random.Random(1), []
for trial in range(n_trials):
    timer = threading.Timer(draw.uniform(0, usual), os.kill, (os.getpid(), signal.SIGINT))
    outcome = ""
    try:
        timer.start()
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                result = call()
            foreign = [str(w.message) for w in caught if not issubclass(w.category, bg.errors.BayesgmmWarning)]
            if foreign:
                outcome = "foreign warning: " + foreign[0]
            elif hasattr(result, "attrs") and result.attrs.get("interrupted"):
                draws = result["posterior"].to_dataset()
                finite = all(bool(np.isfinite(draws[name]).all()) for name in ("weights", "means", "covariances"))
                bg.diagnose(result)
                outcome = "finished draws" if finite else "draws that are not finite"
            else:
                outcome = "complete"
        except bg.errors.BayesgmmError as error:
            outcome = "refusal: " + str(error)
        except KeyboardInterrupt:
            outcome = "KeyboardInterrupt"
        except BaseException:
            outcome = "foreign: " + traceback.format_exc()
        timer.join()
        time.sleep(0.02)
    except KeyboardInterrupt:  # it came after the call had returned
        outcome = outcome or "late"
    outcomes.append(outcome)
print(json.dumps(outcomes))
"""
TRIALS = {"fit_em": 25, "standard_errors": 25, "independent": 10, "gibbs": 10, "nuts": 10}


@pytest.mark.parametrize(("call", "n_trials"), TRIALS.items())
def test_an_interrupted_call_ends_with_what_was_finished(call, n_trials):
    out, err = run(INTERRUPTING, call, n_trials)
    outcomes = json.loads(out.splitlines()[-1])
    assert len(outcomes) == n_trials
    allowed = {"complete", "KeyboardInterrupt", "late", "finished draws"}
    assert set(outcomes) <= allowed, [outcome for outcome in outcomes if outcome not in allowed]
    assert set(outcomes) - {"complete", "late"}, "no interrupt reached the call"
    assert "Traceback" not in err, err
