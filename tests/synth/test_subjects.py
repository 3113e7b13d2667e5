"""Workloads: all runs, replicas and rollouts of one thing taken together."""

from flowmine.synth.subjects import group
from flowmine.synth.universe import survey
from tests.synth.made import Capture, pod


def _names(*ends):
    """The workloads found among these ends, as namespace/name -> number of endpoints."""
    edges = Capture().add(*ends).edges()
    workloads = group(survey(edges.endpoints, edges.pods))
    return {item.title: len(item.endpoints) for item in workloads.items}


def test_rollouts_of_a_deployment_are_one_workload():
    """A deployment whose pods carry a hash label is one workload over all its rollouts."""
    ends = [
        pod("shop", f"web-{h}-abcde", "Deployment/web", app="web", **{"pod-template-hash": h})
        for h in ("7d9f8b6c5d", "54dddb86bf")
    ]
    assert {"shop/web": 2} == _names(*ends)


def test_runs_of_a_cron_job_are_one_workload():
    """Each run has its own job-name label and identity; with or without the cron job's name they are one."""
    runs = [
        pod("shop", "", workload, app="backup", **{"job-name": job, "batch.kubernetes.io/job-name": job})
        for job, workload in (
            ("backup-28412345", "CronJob/backup"),
            ("backup-28412405", "Job/backup-28412405"),
            ("backup-28412465", ""),
        )
    ]
    assert {"shop/backup": 3} == _names(*runs)


def test_pod_names_stand_in_for_workloads_that_were_not_reported():
    """Older captures report no workload; then the pod's own name says which rollouts belong together."""
    ends = [pod("shop", f"web-{h}-x2x4z", tier="web", build=h) for h in ("7d9f8b6c5d", "54dddb86bf")]
    assert {"shop/web": 2} == _names(*ends)


def test_an_endpoint_without_a_workload_joins_the_one_with_its_stable_labels():
    """A run seen only at other nodes comes without a workload; its stable labels say whose it is."""
    known = [
        pod("shop", "", "CronJob/etl", app="etl", **{"run": "r-3f2a91c"}),
        pod("shop", "", "CronJob/etl", app="etl", **{"run": "r-9b1c7d2"}),
    ]
    stray = pod("shop", "", "", app="etl", **{"run": "r-77aa1e5"})
    assert {"shop/etl": 3} == _names(*known, stray)


def test_deployment_and_job_of_one_app_stay_apart():
    """A job that shares its app label with a deployment is told from it by carrying a job name at all."""
    web = pod("shop", "", "Deployment/web", app="web")
    job = pod("shop", "", "Job/web-migrate", app="web", **{"job-name": "web-migrate"})
    assert {"shop/web": 1, "shop/web-migrate": 1} == _names(web, job)


def test_workloads_that_no_stable_label_tells_apart_are_one():
    """Two deployments that differ in a hash alone cannot be selected apart, and say so by their aliases."""
    blue = pod("shop", "", "Deployment/blue", app="x", **{"pod-template-hash": "7d9f8b6c5d"})
    green = pod("shop", "", "Deployment/green", app="x", **{"pod-template-hash": "54dddb86bf"})
    edges = Capture().add(blue, green).edges()
    (item,) = group(survey(edges.endpoints, edges.pods)).items
    assert ("Deployment/blue", "Deployment/green") == item.aliases


def test_same_labels_in_two_namespaces_are_two_workloads():
    """The same app in two namespaces is two workloads."""
    assert {"a/web": 1, "b/web": 1} == _names(pod("a", app="web"), pod("b", app="web"))


def test_same_labels_in_two_clusters_are_two_workloads():
    """The same namespace of another cluster of a mesh holds other workloads."""
    edges = Capture().add(pod("a", app="web"), pod("a", cluster="east", app="web")).edges()
    items = group(survey(edges.endpoints, edges.pods)).items
    assert [("default", "web"), ("east", "web")] == [(item.cluster, item.name) for item in items]


def test_names_are_unique_in_a_namespace():
    """Two workloads of one name but different kinds get names that tell them apart."""
    ends = pod("shop", "", "Deployment/web", app="a"), pod("shop", "", "StatefulSet/web", app="b")
    assert {"shop/web-deployment": 1, "shop/web-statefulset": 1} == _names(*ends)


def test_values_seen_to_vary_within_a_workload_are_known():
    """A label whose values differ within one workload is found out, whatever its key."""
    ends = [pod("shop", "", "StatefulSet/db", app="db", shard=str(n)) for n in range(3)]
    edges = Capture().add(*ends).edges()
    assert {("default", "shard")} == group(survey(edges.endpoints, edges.pods)).varying
