"""Calls of the Kubernetes API of an EKS cluster: eks:call and eks:runJob."""

import base64
import ssl
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, Final

from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json, dumps, dumps_text
from etl_runner.tasks import aws_faults
from etl_runner.tasks.aws_optimised import client_token, task_failed
from etl_runner.tasks.aws_shapes import check_size
from etl_runner.tasks.handlers import CAUSE_LIMIT
from etl_runner.tasks.http_calls import HttpAnswer, HttpRequest, pairs, send
from etl_runner.tasks.integration import ServiceCall

_TOKEN_LIFE_S: Final = 60
"""How long the cluster takes the signed request for (the value that AWS's own clients use)."""

_GONE: Final = 404
_TAKEN: Final = 409
_ERRORS: Final = 400


def call_api(call: ServiceCall) -> Json:
    """Send what eks:call says. Raises StatesError EKS.<status> for an answer of 4xx and 5xx."""
    given = _arguments(call, "CertificateAuthority", "ClusterName", "Endpoint", "Method", "Path")
    answer = _send(
        call, given["Method"], given["Path"], given.get("RequestBody"), given.get("QueryParameters")
    )
    if answer.status >= _ERRORS:
        raise _refused(answer)
    shown = answer.as_json()
    check_size(shown, "eks", call.limit_bytes)
    return shown


def run_job(call: ServiceCall) -> Json:
    """Make a Kubernetes job. One that was made by an earlier hand-out of the same attempt is the answer."""
    given = _arguments(call, "CertificateAuthority", "ClusterName", "Endpoint", "Job")
    answer = _send(call, "POST", _jobs_path(given), _manifest(call, given))
    if answer.status == _TAKEN:
        answer = _send(call, "GET", f"{_jobs_path(given)}/{_job_name(call, given)}")
    if answer.status >= _ERRORS:
        raise _refused(answer)
    return answer.as_json()


class KubernetesJobs:
    """Looks after the job that eks:runJob.sync made."""

    def poll(self, call: ServiceCall, _submitted: Json) -> Json | None:
        """The job once it is complete, None while it runs. Raises StatesError when it failed."""
        given = call.arguments
        answer = _send(call, "GET", f"{_jobs_path(given)}/{_job_name(call, given)}")
        if answer.status == _GONE:
            raise _refused(answer)
        if answer.status >= _ERRORS or not isinstance(answer.body, dict):
            return None
        shown = answer.as_json()
        conditions = (answer.body.get("status") or {}).get("conditions") or ()
        ended = {each["type"] for each in conditions if each.get("status") == "True"}
        if "Failed" in ended:
            raise task_failed(shown)
        if "Complete" not in ended:
            return None
        options = given.get("LogOptions") or {}
        if options.get("RetrieveLogs"):
            shown["Logs"] = _logs(call, given)
        check_size(shown, "eks", call.limit_bytes)
        return shown

    def stop(self, call: ServiceCall, _submitted: Json) -> None:
        """Delete the job with its pods."""
        given = call.arguments
        path = f"{_jobs_path(given)}/{_job_name(call, given)}"
        _send(call, "DELETE", path, None, {"propagationPolicy": "Background"})

    def when_ended(self, _call: ServiceCall, _submitted: Json) -> Future[object] | None:
        """Only asking helps."""
        return None


def _arguments(call: ServiceCall, *required: str) -> dict[str, Any]:
    given = call.arguments
    if not isinstance(given, dict):
        raise aws_faults.unusable(given, ["The parameters must be an OBJECT"])
    faults = [
        f"The field '{name}' is required but was missing" for name in required if given.get(name) is None
    ]
    if faults:
        raise aws_faults.unusable(given, faults)
    return given


def _namespace(given: Mapping[str, Any]) -> str:
    metadata = given["Job"].get("metadata") or {}
    return str(given.get("Namespace") or metadata.get("namespace") or "default")


def _jobs_path(given: Mapping[str, Any]) -> str:
    return f"/apis/batch/v1/namespaces/{_namespace(given)}/jobs"


def _job_name(call: ServiceCall, given: Mapping[str, Any]) -> str:
    metadata = given["Job"].get("metadata") or {}
    return str(metadata.get("name") or f"{metadata.get('generateName', 'job-')}{client_token(call)[:13]}")


def _manifest(call: ServiceCall, given: Mapping[str, Any]) -> Json:
    job = given["Job"]
    metadata = {name: value for name, value in (job.get("metadata") or {}).items() if name != "generateName"}
    # A name of the task's own making: a second hand-out makes no second job.
    return {**job, "metadata": {**metadata, "name": _job_name(call, given)}}


def _logs(call: ServiceCall, given: Mapping[str, Any]) -> Json:
    """The text of each container of the job's pods, by pod and container."""
    pods = f"/api/v1/namespaces/{_namespace(given)}/pods"
    listed = _send(call, "GET", pods, None, {"labelSelector": f"job-name={_job_name(call, given)}"})
    items = listed.body.get("items", ()) if isinstance(listed.body, dict) else ()
    made: dict[str, Json] = {"pods": {}}
    for pod in items:
        name = pod["metadata"]["name"]
        texts = {
            container["name"]: {
                "log": _send(call, "GET", f"{pods}/{name}/log", None, {"container": container["name"]}).body
            }
            for container in pod["spec"]["containers"]
        }
        made["pods"][name] = {"containers": texts}
    return made


def _send(call: ServiceCall, method: str, path: str, body: Json = None, query: Json = None) -> HttpAnswer:
    given = call.arguments
    request = HttpRequest(
        method=method,
        url=f"{given['Endpoint'].rstrip('/')}/{path.lstrip('/')}",
        headers={"Authorization": f"Bearer {_token(call)}", "Accept": "*/*"},
        query=pairs(query),
    )
    if body is not None:
        request.headers["Content-Type"] = "application/json"
        request.body = dumps(body)
    verify: Any = True
    if request.url.startswith("https:"):
        verify = ssl.create_default_context(cadata=base64.b64decode(given["CertificateAuthority"]).decode())
    return send(request, "eks", limit_bytes=call.limit_bytes, timeout_s=call.remaining_s, verify=verify)


def _token(call: ServiceCall) -> str:
    """The caller's identity as a cluster takes it: a signed request for it, that the cluster sends."""
    client = call.client("sts")
    cluster = call.arguments["ClusterName"]

    signer = client._request_signer  # noqa: SLF001 -- botocore offers no other way to sign with a header
    url: str = signer.generate_presigned_url(
        {
            "method": "GET",
            "url": f"{client.meta.endpoint_url.rstrip('/')}/?Action=GetCallerIdentity&Version=2011-06-15",
            "body": {},
            "headers": {"x-k8s-aws-id": cluster},
            "context": {},
        },
        region_name=client.meta.region_name,
        expires_in=_TOKEN_LIFE_S,
        operation_name="",
    )
    return f"k8s-aws-v1.{base64.urlsafe_b64encode(url.encode()).decode().rstrip('=')}"


def _refused(answer: HttpAnswer) -> StatesError:
    body = answer.body if isinstance(answer.body, str) else dumps_text(answer.body)
    return StatesError(f"EKS.{answer.status}", body[:CAUSE_LIMIT])
