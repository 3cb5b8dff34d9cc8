"""The Open Inference Protocol: the official client, tensors of texts, and wrong ones."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from open_inference.openapi import InferenceRequest, NotFoundError, ServiceUnavailableError
from open_inference.openapi.client import OpenInferenceClient

from .hash_runtime import LABELS, MANY_LABELS, PAIRS, HashRuntime
from .test_server import server as server

Serve = Callable[..., TestClient]
INFER = "/v2/models/Tickets/infer"


def tensor(*texts: object, name: str = "text", **changes: object) -> dict[str, object]:
    return {"name": name, "shape": [len(texts)], "datatype": "BYTES", "data": texts, **changes}


def by_name(response: dict[str, list[dict[str, object]]]) -> dict[str, dict[str, object]]:
    return {str(output["name"]): output for output in response["outputs"]}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_official_client(server: tuple[object, str]) -> None:
    client = OpenInferenceClient(base_url=server[1])
    client.check_server_liveness()
    for _ in range(200):
        try:
            client.check_server_readiness()
            break
        except ServiceUnavailableError:
            threading.Event().wait(0.02)
    client.check_model_readiness("Tickets")
    assert client.read_server_metadata().name == "tunesmith"
    metadata = client.read_model_metadata("Tickets")
    assert [(one.name, one.datatype) for one in metadata.inputs] == [("text", "BYTES")]
    request = InferenceRequest(id="42", inputs=[tensor("where is it", "thanks")])
    answer = client.model_infer("Tickets", request=request)
    assert (answer.id, answer.model_name) == ("42", "Tickets")
    label = next(output for output in answer.outputs if output.name == "label")
    expected = [one.label for one in HashRuntime().predict(["where is it", "thanks"])]
    assert json.loads(label.json())["data"] == expected
    with pytest.raises(NotFoundError):
        client.check_model_readiness("none")
    client._client_wrapper.httpx_client.close()


def test_one_label(client: TestClient, runtime: HashRuntime) -> None:
    texts = ["a b c", "d"]
    answer = client.post(INFER, json={"id": "7", "inputs": [tensor(*texts)]}).json()
    assert (answer["id"], answer["model_version"]) == ("7", "0123456789ab")
    found, alone = by_name(answer), runtime.predict(texts)
    assert found["label"]["data"] == [one.label for one in alone]
    assert found["probability"]["data"] == [one.probability for one in alone]
    table = found["probabilities"]
    assert table["shape"] == [2, 4]
    assert json.loads(table["parameters"]["labels"]) == list(LABELS)
    assert table["data"] == [one.probabilities[label] for one in alone for label in LABELS]


def test_several_labels(serve: Serve) -> None:
    runtime = HashRuntime(task=MANY_LABELS)
    found = by_name(serve(runtime).post(INFER, json={"inputs": [tensor("a", "b")]}).json())
    expected = [label in one.labels for one in runtime.predict(["a", "b"]) for label in LABELS]
    assert found["chosen"]["data"] == expected
    assert found["chosen"]["datatype"] == "BOOL"


def test_pairs_come_as_a_tensor_for_each_field(serve: Serve) -> None:
    client = serve(HashRuntime(task=PAIRS))
    inputs = [tensor("b1", "b2", name="answer"), tensor("a1", "a2", name="question")]
    answer = client.post(INFER, json={"inputs": inputs})
    native = client.post("/v1/predict", json={"texts": [["a1", "b1"], ["a2", "b2"]]}).json()
    labels = [one["label"] for one in native["predictions"]]
    assert by_name(answer.json())["label"]["data"] == labels


@pytest.mark.parametrize("shape", [[2], [2, 1], [1, 2]])
def test_shapes_and_nested_data(client: TestClient, shape: list[int]) -> None:
    flat = client.post(INFER, json={"inputs": [tensor("a", "b", shape=shape)]}).json()
    nested = client.post(INFER, json={"inputs": [tensor(["a"], ["b"], shape=[2, 1])]}).json()
    assert by_name(flat)["label"]["data"] == by_name(nested)["label"]["data"]


def test_only_the_outputs_that_are_asked_for(client: TestClient) -> None:
    body = {"inputs": [tensor("a")], "outputs": [{"name": "label"}]}
    assert list(by_name(client.post(INFER, json=body).json())) == ["label"]


def test_an_output_that_there_is_not_costs_nothing(
    client: TestClient, runtime: HashRuntime
) -> None:
    runtime.batches.clear()
    body = {"inputs": [tensor("a")], "outputs": [{"name": "lable"}]}
    response = client.post(INFER, json=body)
    assert response.status_code == 422
    assert "outputs: has no 'lable'; give label" in response.json()["error"]
    assert runtime.batches == []


def test_texts_by_the_binary_extension(client: TestClient) -> None:
    texts = ["where is it", "ünïcode 你好"]
    binary = b"".join(struct.pack("<I", len(own.encode())) + own.encode() for own in texts)
    one = tensor(*texts, parameters={"binary_data_size": len(binary)})
    del one["data"]
    head = json.dumps({"inputs": [one]}).encode()
    headers = {
        "inference-header-content-length": str(len(head)),
        "content-type": "application/octet-stream",
    }
    answer = client.post(INFER, content=head + binary, headers=headers).json()
    plain = client.post(INFER, json={"inputs": [tensor(*texts)]}).json()
    assert answer["outputs"] == plain["outputs"]
    for cut in (binary[:-1], binary + b"x", b"\xff" * len(binary)):
        assert client.post(INFER, content=head + cut, headers=headers).status_code == 422
    wrong = {**headers, "inference-header-content-length": "99999"}
    assert client.post(INFER, content=head, headers=wrong).status_code == 400


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"inputs": []}, "is empty"),
        ({"inputs": [tensor(1, 2)]}, "something else than texts"),
        ({"inputs": [tensor("a", datatype="FP32")]}, "is FP32"),
        ({"inputs": [tensor("a", shape=[3])]}, "the shape [3] and 1 texts"),
        ({"inputs": [tensor("a", shape=[-1, -1])]}, "the shape"),
        ({"inputs": [tensor("a"), tensor("b", name="other")]}, "are text, other"),
        ({"inputs": [tensor("a")], "outputs": [{"name": "no"}]}, "has no 'no'"),
        ({"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES"}]}, "has no data"),
    ],
)
def test_wrong_requests(client: TestClient, body: object, words: str) -> None:
    response = client.post(INFER, json=body)
    assert response.status_code == 422
    assert set(response.json()) == {"error"}
    assert words in response.json()["error"]


def test_models_and_versions_are_found_by_name(client: TestClient) -> None:
    version = "/v2/models/Tickets/versions/0123456789ab"
    assert client.get(version).json() == client.get("/v2/models/Tickets").json()
    assert client.get(f"{version}/ready").json() == {"name": "Tickets", "ready": True}
    body = {"inputs": [tensor("a")]}
    assert client.post(f"{version}/infer", json=body).status_code == 200
    for path in ("/v2/models/none", "/v2/models/Tickets/versions/none"):
        assert client.get(path).status_code == 404
        assert client.post(f"{path}/infer", json=body).status_code == 404
        assert set(client.get(f"{path}/ready").json()) == {"error"}


def test_health(serve: Serve) -> None:
    runtime = HashRuntime(gate=threading.Event())
    client = serve(runtime, warm=False)
    assert client.get("/v2/health/live").status_code == 200
    assert client.get("/v2/health/ready").status_code == 503
    assert client.get("/v2/models/Tickets/ready").status_code == 503
    assert runtime.gate is not None
    runtime.gate.set()
