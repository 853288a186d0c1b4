"""Training as the pages ask for it: watched while it goes on, stopped, and there afterwards."""

import shutil
import time

from core import home, jobs
from core.models import pool
from core.results.train_dictionary import TrainDictionary
from core.spec.request import ModelRef, ask

LONG = 20.0


def test_training_in_the_queue_shows_curves_and_leaves_a_dictionary_when_cancelled() -> None:
    model = ModelRef(str(home.ROOT / "tests/data/models/stories260k"))
    options = {"n_features": 96, "k": 4, "steps": 100_000, "batch": 128, "n_contexts": 40}
    job = jobs.submit(
        ask("train_dictionary", model, site="L2.resid_post", name="own", every=5, **options),
        bulk=True,
    )
    end = time.monotonic() + LONG
    while job.partial is None and time.monotonic() < end and not job.finished:
        time.sleep(0.01)
    assert not job.finished, job.error
    shown = job.partial
    assert isinstance(shown, TrainDictionary)
    assert shown.step[0] == 1
    assert job.note.startswith("step")
    job.cancel()
    assert jobs.cancel_all(LONG)
    assert (home.home() / "dictionaries/own/sae_weights.safetensors").exists()
    assert "own" in pool.get(model).dictionaries


def test_a_dictionary_whose_folder_was_removed_is_trained_again() -> None:
    model = ModelRef(str(home.ROOT / "tests/data/models/stories260k"))
    options = {"n_features": 96, "k": 4, "steps": 2, "batch": 128, "n_contexts": 40}
    question = ask("train_dictionary", model, site="L2.resid_post", name="own", **options)

    def done() -> None:
        job = jobs.submit(question)
        assert job.wait(LONG)
        assert job.result is not None, job.error

    folder = home.home() / "dictionaries/own"
    done()
    assert folder.is_dir()
    written = (folder / "training.json").stat().st_mtime_ns
    done()
    assert (folder / "training.json").stat().st_mtime_ns == written
    shutil.rmtree(folder)
    done()
    assert (folder / "sae_weights.safetensors").is_file()
    assert "own" in pool.get(model).dictionaries
