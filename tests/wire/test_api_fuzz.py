"""An outsider reads the document and holds the front door to it; see `tests.fuzz`."""

import pytest

from tests.fuzz.__main__ import run
from tests.fuzz.stand import stand


@pytest.mark.slow
@pytest.mark.timeout(300)  # seven thousand requests
def test_every_answer_is_one_the_document_tells_of(capfd: pytest.CaptureFixture[str]):
    with stand(jobs=20) as here:
        failed = run(here, examples=3, walks=30, seed=1, more=["--no-color"])

        said = capfd.readouterr().out
        assert not failed, said
        assert "request.crashed" not in here.log.read_text()
