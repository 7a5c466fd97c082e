"""`eks:*`: clusters of Amazon EKS, and what runs in them through the Kubernetes API."""

from typing import Final

from etl_runner.jsontypes import Json
from etl_runner.tasks.aws_jobs import Job
from etl_runner.tasks.aws_optimised import JOB, Action, Optimised, Service
from etl_runner.tasks.eks_calls import KubernetesJobs, call_api, run_job
from etl_runner.tasks.integration import PLAIN, SYNC, Integration, Jobs, ServiceCall, split_form

SERVICE = Service(name="eks", boto3_name="eks", title="EKS", long_title="AmazonEKS")
_CLUSTER: Final = ("CertificateAuthority", "ClusterName", "Endpoint")
Names = tuple[tuple[str, str], ...]
_OWN: Final = {
    # Not of the EKS API: what they say is said to the Kubernetes API of a cluster.
    "call": (*_CLUSTER, "Method", "Path", "QueryParameters", "RequestBody"),
    "runJob": (*_CLUSTER, "Job", "LogOptions", "Namespace"),
}


def _resource(kind: str, names: Names, *, deleted: bool) -> Job:
    """A thing that is described by its names; `names` are (the API's, the parameter's)."""
    return Job(
        describe=f"Describe{kind}",
        asks=lambda _submitted, call: {api: call.arguments[given] for api, given in names},
        status=f"{kind[:1].lower()}{kind[1:]}.status",
        done=frozenset() if deleted else frozenset({"ACTIVE"}),
        failed=frozenset({"DELETE_FAILED"} if deleted else {"FAILED", "CREATE_FAILED"}),
        gone_is_done=deleted,
    )


def _pair(kind: str, create: Names, delete: Names) -> list[Action]:
    return [
        Action(name=f"create{kind}", forms=JOB, job=_resource(kind, create, deleted=False)),
        Action(name=f"delete{kind}", forms=JOB, job=_resource(kind, delete, deleted=True)),
    ]


class Eks(Optimised):
    """The EKS API as a table, and two actions that speak with a cluster itself."""

    def call(self, call: ServiceCall) -> Json:
        """Call EKS or a cluster. Raises StatesError, named as AWS names it."""
        match call.base.rpartition(":")[2]:
            case "call":
                return call_api(call)
            case "runJob":
                return run_job(call)
            case _:
                return super().call(call)

    def jobs(self, resource: str) -> Jobs | None:
        """Who looks after the job of a `.sync` resource."""
        base, form = split_form(resource)
        if base.endswith(":runJob") and form == SYNC:
            return KubernetesJobs()
        return super().jobs(resource)


_BOTH: Final = (("clusterName", "ClusterName"), ("nodegroupName", "NodegroupName"))
_PROFILE: Final = (("clusterName", "ClusterName"), ("fargateProfileName", "FargateProfileName"))

INTEGRATION: Integration = Eks(
    SERVICE,
    "Make and delete clusters of Amazon EKS, call their Kubernetes API and run jobs in them",
    *_pair("Cluster", (("name", "Name"),), (("name", "Name"),)),
    *_pair("Nodegroup", _BOTH, _BOTH),
    *_pair("FargateProfile", _PROFILE, _PROFILE),
    Action(
        name="call",
        fields=_OWN["call"],
        required=("CertificateAuthority", "ClusterName", "Endpoint", "Method", "Path"),
    ),
    Action(
        name="runJob",
        forms=(PLAIN, SYNC),
        fields=_OWN["runJob"],
        required=("CertificateAuthority", "ClusterName", "Endpoint", "Job"),
    ),
)
