"""One toy server for all tests that only ask it things; others start their own."""

import openai
import pytest
from served import Served, serving


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Served:
    with serving(tmp_path_factory.mktemp("server")) as served:
        yield served
    assert served.process.returncode == 0
    assert "Traceback" not in served.complaints


@pytest.fixture(scope="session")
def client(server: Served):
    with openai.OpenAI(base_url=server.api, api_key="none", max_retries=0) as client:
        yield client
