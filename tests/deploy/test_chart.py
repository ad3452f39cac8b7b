"""The chart's promises, on the objects that it renders: security, probes, shutdown, scaling, network, routes."""

import ipaddress
import json
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import pytest
import yaml

from hookline.settings import ADMIN_OFFSET, Settings
from hookline.web.addresses import BLOCKED, STAND_FOR_IPV4
from scripts.chart_readme import CHART, readme
from tests.deploy.conftest import NAMESPACE, refused, rendered

SERVICES = ("ingress", "dispatcher", "callbacks", "console")
HTTP = ("ingress", "callbacks", "console")
PODS = (*SERVICES, "topics", "test")
VALUES = ("minimal", "full")


@pytest.mark.parametrize("values", VALUES)
def test_no_two_objects_have_one_name(values: str) -> None:
    names = [(t["kind"], t["metadata"]["name"]) for t in rendered(values).things]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("values", VALUES)
def test_every_object_says_its_namespace(values: str) -> None:
    assert {t["metadata"]["namespace"] for t in rendered(values).things} == {NAMESPACE}


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("pod", PODS)
def test_a_pod_has_no_more_rights_than_restricted_pod_security_allows(pod: str, values: str) -> None:
    spec = rendered(values).pods()[pod]["spec"]
    (container,) = spec["containers"]

    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
    assert container["resources"]["requests"]
    assert container["resources"]["limits"]


@pytest.mark.parametrize("service", SERVICES)
def test_probes_ask_the_admin_port_that_the_service_listens_on(service: str) -> None:
    (container,) = rendered("minimal").pods()[service]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    own = Settings.model_fields[f"{service}_port"].default

    assert probes == {
        "startup": {"path": "/livez", "port": "admin"},
        "liveness": {"path": "/livez", "port": "admin"},
        "readiness": {"path": "/readyz", "port": "admin"},
    }
    assert ports == ({"admin": own + ADMIN_OFFSET} | ({"http": own} if service in HTTP else {}))


@pytest.mark.parametrize("service", SERVICES)
def test_a_pod_gets_the_time_it_needs_to_stop(service: str) -> None:
    spec = rendered("minimal").pods()[service]["spec"]
    (container,) = spec["containers"]

    assert spec["terminationGracePeriodSeconds"] == (90 if service == "dispatcher" else 45)
    assert container.get("lifecycle") == ({"preStop": {"sleep": {"seconds": 5}}} if service in HTTP else None)
    assert container["args"] == [service]


def test_the_dispatcher_has_a_name_for_life_in_its_group() -> None:
    spec = rendered("minimal").workload("dispatcher")["spec"]
    environment = rendered("minimal").environment("dispatcher")

    assert spec["podManagementPolicy"] == "Parallel"
    assert environment["HOOKLINE_GROUP_INSTANCE_ID"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert environment["HOOKLINE_SESSION_TIMEOUT_MS"] == "45000"


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("service", SERVICES)
def test_only_known_settings_are_set(service: str, values: str) -> None:
    known = {f"HOOKLINE_{name.upper()}" for name in Settings.model_fields}

    assert set(rendered(values).environment(service)) <= known


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_given_its_own_secrets_only(service: str) -> None:
    environment = rendered("full").environment(service)
    secrets = {name for name, value in environment.items() if isinstance(value, dict) and "secretKeyRef" in value}
    own = {
        "ingress": {"HOOKLINE_INGRESS_TOKENS"},
        "dispatcher": {"HOOKLINE_MASTER_KEYS"},
        "callbacks": {"HOOKLINE_MASTER_KEYS"},
        "console": {"HOOKLINE_MASTER_KEYS", "HOOKLINE_ADMIN_PASSWORD", "HOOKLINE_DATABASE_URL"},
    }

    assert secrets == own[service] | {"HOOKLINE_KAFKA_PASSWORD"}
    assert environment["HOOKLINE_KAFKA_PASSWORD"]["secretKeyRef"]["name"] == f"hookline-{service}"


def test_only_ingress_is_told_where_a_generic_push_has_what() -> None:
    expressions = {
        "HOOKLINE_GENERIC_REPOSITORY": "image.name",
        "HOOKLINE_GENERIC_PUSHED_AT": "time",
        "HOOKLINE_GENERIC_WHEN": "event == 'push'",
        "HOOKLINE_GENERIC_DEFAULT_REGISTRY": "registry.example.com",
        "HOOKLINE_GENERIC_FILE": "/etc/hookline/mappings/mappings.toml",
    }
    for service in SERVICES:
        environment = rendered("full").environment(service)
        told = {name: value for name, value in environment.items() if name.startswith("HOOKLINE_GENERIC_")}
        assert told == (expressions if service == "ingress" else {})


def test_the_mappings_are_the_text_of_the_values_and_ingress_starts_anew_when_they_change() -> None:
    chart = rendered("full")
    assert chart.one("ConfigMap", "hookline-mappings")["data"] == {
        "mappings.toml": '[ci]\nimage = "artifact.reference"\n'
    }
    for service in SERVICES:
        annotations = chart.workload(service)["spec"]["template"]["metadata"]["annotations"]
        assert ("checksum/mappings" in annotations) == (service == "ingress")
    assert "hookline-mappings" not in rendered("minimal").of("ConfigMap")


def test_a_console_may_take_its_time_to_read_the_logs_anew() -> None:
    deadlines = {s: rendered("full").workload(s)["spec"].get("progressDeadlineSeconds") for s in SERVICES}

    assert deadlines == {"ingress": None, "callbacks": None, "dispatcher": None, "console": 3600}


def test_no_replicas_where_an_autoscaler_owns_them() -> None:
    with_scalers, without = rendered("full"), rendered("minimal")

    for service in ("ingress", "callbacks", "dispatcher"):
        assert "replicas" not in with_scalers.workload(service)["spec"]
        assert without.workload(service)["spec"]["replicas"] == 2
    assert {"hookline-ingress", "hookline-callbacks"} == set(with_scalers.of("HorizontalPodAutoscaler"))
    assert not without.of("HorizontalPodAutoscaler")


def test_keda_scales_the_dispatcher_by_its_own_metrics() -> None:
    spec = rendered("full").one("ScaledObject", "hookline-dispatcher")["spec"]
    metadata = [trigger["metadata"] for trigger in spec["triggers"]]

    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "hookline-dispatcher"}
    assert spec["minReplicaCount"] >= 1
    assert {trigger["type"] for trigger in spec["triggers"]} == {"prometheus"}
    assert all(isinstance(value, str) for one in metadata for value in one.values())
    assert spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] > 0


@pytest.mark.parametrize("service", SERVICES)
def test_replicas_are_spread_and_leave_one_at_a_time(service: str) -> None:
    chart = rendered("minimal")
    pod = chart.pods()[service]
    budget = chart.one("PodDisruptionBudget", f"hookline-{service}")["spec"]
    spread = {
        one["topologyKey"]: one["labelSelector"]["matchLabels"] for one in pod["spec"]["topologySpreadConstraints"]
    }

    assert set(spread) == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
    assert budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    for selector in (*spread.values(), budget["selector"]["matchLabels"]):
        assert selector.items() <= pod["metadata"]["labels"].items()
        others = [other for name, other in chart.pods().items() if name != service]
        assert not any(selector.items() <= other["metadata"]["labels"].items() for other in others)


def policies(pod: str, values: str = "full", *more: str) -> list[Any]:
    """The specs of the network policies that hold for a pod."""
    chart = rendered(values, *more)
    labels = chart.pods()[pod]["metadata"]["labels"]
    specs = [policy["spec"] for policy in chart.of("NetworkPolicy").values()]
    return [spec for spec in specs if spec["podSelector"]["matchLabels"].items() <= labels.items()]


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("pod", PODS)
def test_nothing_is_open_that_no_policy_opens(pod: str, values: str) -> None:
    assert any({"Ingress", "Egress"} == set(spec["policyTypes"]) for spec in policies(pod, values))


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("pod", PODS)
def test_only_the_dispatcher_reaches_the_internet(pod: str, values: str) -> None:
    to = [peer for spec in policies(pod, values) for rule in spec.get("egress", []) for peer in rule["to"]]
    wide = [peer["ipBlock"] for peer in to if peer.get("ipBlock", {}).get("cidr") in ("0.0.0.0/0", "::/0")]

    assert all("to" in rule for spec in policies(pod, values) for rule in spec.get("egress", []))
    assert len(wide) == (2 if pod == "dispatcher" else 0)


def test_the_dispatcher_does_not_reach_private_networks_but_those_allowed() -> None:
    blocks = [
        peer["ipBlock"]
        for spec in policies("dispatcher")
        for rule in spec["egress"]
        for peer in rule["to"]
        if "ipBlock" in peer
    ]
    excepted = [ipaddress.ip_network(net) for block in blocks for net in block.get("except", [])]

    assert collapsed(excepted) == collapsed([*BLOCKED, *STAND_FOR_IPV4])
    assert {"cidr": "10.20.0.0/16"} in blocks


def collapsed(networks: Iterable[IPv4Network | IPv6Network]) -> set[IPv4Network | IPv6Network]:
    """The same addresses in as few networks as there may be."""
    by_version: dict[int, list[Any]] = {4: [], 6: []}
    for network in networks:
        by_version[network.version].append(network)
    return {*ipaddress.collapse_addresses(by_version[4]), *ipaddress.collapse_addresses(by_version[6])}


def test_hooks_leave_by_the_ports_that_are_named_only() -> None:
    wide = [
        rule
        for spec in policies("dispatcher")
        for rule in spec["egress"]
        if {"ipBlock": {"cidr": "10.20.0.0/16"}} in rule["to"]
    ]

    assert [rule["ports"] for rule in wide] == [[{"port": port, "protocol": "TCP"} for port in (80, 443, 8080, 8443)]]
    # Console and dispatcher refuse in words what the policy would only let run out of time.
    assert rendered("full").environment("dispatcher")["HOOKLINE_HOOK_PORTS"] == "80,443,8080,8443"


def test_with_an_outgoing_proxy_the_dispatcher_reaches_nothing_else() -> None:
    told = "hooks.proxy.enabled=true"
    to_proxy = [
        rule
        for spec in policies("dispatcher", "full", told)
        for rule in spec["egress"]
        if rule["ports"][0]["port"] == 3128
    ]

    assert [rule["to"] for rule in to_proxy] == [[{"namespaceSelector": {}}]]
    assert not [
        peer
        for spec in policies("dispatcher", "full", told)
        for rule in spec["egress"]
        for peer in rule["to"]
        if "ipBlock" in peer
    ]
    given = {service for service in SERVICES if "HOOKLINE_HOOK_PROXY" in rendered("full", told).environment(service)}
    assert given == {"dispatcher"}
    assert rendered("full", told).environment("dispatcher")["HOOKLINE_HOOK_PROXY"]["secretKeyRef"]["name"] == "hookline"


def console_clients(values: str) -> list[Any]:
    (rule,) = [
        rule
        for spec in policies("console", values)
        for rule in spec["ingress"]
        if {"port": "http", "protocol": "TCP"} in rule["ports"]
    ]
    return rule["from"]  # type: ignore[no-any-return]


def test_nobody_reaches_the_console_unless_named() -> None:
    gateways = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateways"}}}
    (tester,) = console_clients("minimal")

    assert tester["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "test"
    assert console_clients("full") == [gateways, tester]


def test_a_callback_url_in_the_clear_must_be_asked_for() -> None:
    url = "publicCallbackUrl=http://hookline.example.com"

    assert "set allowHttpCallbackUrl" in refused("minimal", url)
    assert rendered("minimal", url, "allowHttpCallbackUrl=true").things


def test_what_a_pod_may_write_is_bounded() -> None:
    for name, pod in rendered("minimal").pods().items():
        for volume in pod["spec"].get("volumes", []):
            assert "emptyDir" not in volume or "sizeLimit" in volume["emptyDir"], (name, volume)


def test_nothing_calls_a_dispatcher_but_monitoring() -> None:
    assert [
        rule
        for spec in policies("dispatcher")
        for rule in spec["ingress"]
        if rule["ports"] != [{"port": "admin", "protocol": "TCP"}]
    ] == []


def test_routes_lead_where_the_services_listen_and_redirect_nothing() -> None:
    chart = rendered("full")
    by_gateway = {
        name: [m["path"]["value"] for rule in route["spec"]["rules"] for m in rule["matches"]]
        for name, route in chart.of("HTTPRoute").items()
    }
    by_ingress = {
        rule["host"]: [path["path"] for path in rule["http"]["paths"]]
        for rule in chart.one("Ingress", "hookline-http")["spec"]["rules"]
    }

    assert by_gateway == {
        "hookline-ingress": ["/events"],
        "hookline-callbacks": ["/u", "/_"],
        "hookline-console": ["/"],
    }
    assert list(by_ingress.values()) == [["/u", "/_"], ["/events"], ["/"]]
    assert "filters" not in json.dumps(list(chart.of("HTTPRoute").values()))
    assert "redirect" not in json.dumps(list(chart.of("Ingress").values()))


def test_receivers_are_told_the_host_of_the_route() -> None:
    assert rendered("full").environment("dispatcher")["HOOKLINE_PUBLIC_CALLBACK_URL"] == "https://callbacks.example.com"


@pytest.mark.parametrize(
    ("values", "more", "url"),
    [
        ("full", (), "https://hookline.example.com"),
        ("full", ("publicConsoleUrl=https://ops.example.com:8443",), "https://ops.example.com:8443"),
        ("minimal", (), ""),
        ("minimal", ("publicConsoleUrl=http://127.0.0.1:8080",), "http://127.0.0.1:8080"),
    ],
)
def test_the_console_is_told_where_its_users_are(values: str, more: tuple[str, ...], url: str) -> None:
    assert rendered(values, *more).environment("console")["HOOKLINE_PUBLIC_CONSOLE_URL"] == url


def test_a_changed_setting_makes_new_pods_and_a_new_job() -> None:
    before, after = rendered("minimal"), rendered("minimal", "settings.HOOKLINE_MAX_POSTS=7")

    for service in SERVICES:
        annotations = [chart.pods()[service]["metadata"]["annotations"]["checksum/config"] for chart in (before, after)]
        assert annotations[0] != annotations[1]
    assert set(before.of("Job")) != set(after.of("Job"))


def test_a_digest_wins_over_a_tag() -> None:
    images = {pod["spec"]["containers"][0]["image"] for pod in rendered("full", "image.tag=1.2.3").pods().values()}

    assert images == {"images.example.com/hookline@sha256:" + 64 * "0"}


def test_sqlite_is_kept_on_a_volume_that_two_pods_never_share() -> None:
    chart = rendered("minimal", "console.persistence.enabled=true")

    assert chart.workload("console")["spec"]["strategy"] == {"type": "Recreate"}
    assert {"persistentVolumeClaim": {"claimName": "hookline-console"}, "name": "data"} in chart.pods()["console"][
        "spec"
    ]["volumes"]
    assert set(chart.of("PersistentVolumeClaim")) == {"hookline-console"}


@pytest.mark.parametrize(
    ("values", "more", "said"),
    [
        ("minimal", "publicCallbackUrl=", "where receivers send their verdicts"),
        ("minimal", "secrets.existingSecret=", "set secrets.existingSecret"),
        ("minimal", "kafka.bootstrapServers=null", "set kafka.bootstrapServers"),
        ("minimal", "console.replicas=2", "needs console.database.postgres"),
        ("minimal", "kafka.strimzi.enabled=true", "set kafka.strimzi.cluster"),
        ("full", "kafka.securityProtocol=PLAINTEXT", "ACLs are of users"),
        ("full", "dispatcher.keda.maxReplicas=25", "would stand idle"),
        ("minimal", "replcas=3", "additional properties 'replcas' not allowed"),
        ("minimal", "settings.HOOKLINE_MASTER_KEYS=k1:x", "invalid propertyName 'HOOKLINE_MASTER_KEYS'"),
        ("minimal", "settings.HOOKLINE_HOOK_PROXY=http://u:p@h:1", "invalid propertyName 'HOOKLINE_HOOK_PROXY'"),
        ("minimal", "kafka.securityProtocol=TLS", "value must be one of"),
        ("minimal", "publicConsoleUrl=https://example.com/hookline", "does not match pattern"),
        ("minimal", "image.digest=latest", "does not match pattern"),
    ],
)
def test_wrong_values_are_refused_in_words(values: str, more: str, said: str) -> None:
    assert said in refused(values, more)


def test_the_readme_has_every_value() -> None:
    assert (CHART / "README.md").read_text() == readme(), "run .venv/bin/python scripts/chart_readme.py"


def test_kubernetes_versions_are_those_that_are_checked() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    oldest = (CHART.parents[2] / "scripts" / "check-deploy").read_text().partition("oldest=")[2].split()[0]

    assert chart["kubeVersion"] == f">={oldest}.0-0"
