"""The README of each sample folder: what was recorded, under which policies, and what to look for."""

_MADE = """
Made by `python -m tests.cluster samples` from `tests/cluster/systems/{module}.py`; nobody's real traffic.
"""

_THREE_TIER = """# three-tier

A frontend, a backend and a database in namespace `default` of cluster `three-tier`, recorded for a day with
`hubble observe -o jsonpb` (Cilium 1.19): `flows.jsonl.gz`.

    flowmine recommend sample_flows/three-tier
    flowmine drops sample_flows/three-tier --policies sample_flows/three-tier/policies

| who | to whom | outcome |
|---|---|---|
| users on the internet | frontend 80, 443/TCP | delivered |
| users on the internet | frontend 80/UDP | dropped at the frontend's ingress |
| frontend | backend 80 | delivered |
| backend | database 7379 (its Service listens on 80) | delivered |
| backend | `*.cloud.google.com` 443, 80 | delivered |
| backend | `example.com` 80 | dropped at the backend's egress |
| the VPN, 172.27.224.3 | backend `GET /docs` | delivered |
| the VPN | backend `GET /admin` | denied by the proxy (403) |
| the VPN | database 7379 | dropped: the policy names another address |
| 102.213.50.174 | database 443 | delivered |
| database | frontend, backend, `example.com` | dropped at its egress, names already at the DNS lookup |
| batch | database 7379, and a scan of many ports | dropped at ingress |

`policies/` holds what is in force: `port: "443"` without a protocol opens UDP and SCTP as well.
"""

_LINKDING = """# linkding

A homelab (cluster `homelab`): the bookmark manager linkding with its PostgreSQL cluster behind a Cloudflare
tunnel, watched by Prometheus and an operator; and a namespace `payments` fenced by plain NetworkPolicies.
Recorded by the exporter on each node (Cilium 1.19): one folder a node, rotated files gzip'd, `events.log` current.

    flowmine recommend sample_flows/linkding -n linkding
    flowmine drops sample_flows/linkding --policies sample_flows/linkding/policies

| who | to whom | outcome |
|---|---|---|
| cloudflared | linkding 9090, the tunnel's 7844/UDP and 443 | delivered |
| linkding | database 5432, outside 443 and 80 | delivered |
| linkding | outside 22, the API server, namespace `default` | dropped at egress |
| database | its replicas, the API server 6443, the backup store 443 | delivered |
| database | outside 80 | dropped at egress |
| prometheus, operator | linkding and database | delivered |
| `default/toolbox`, a neighbour on the LAN | linkding, database | dropped at ingress |
| `bookmark-sync` (a CronJob that no policy allows anything) | everything, DNS too | dropped at egress |
| sensitive | auth 80 | delivered; 8443 dropped |
| reporting | auth | dropped at egress, its DNS lookups too |
"""

_EMPIRE = """# empire

The Star Wars demo in namespace `empire`, recorded with Hubble 1.14: no uuids, trace reasons, cluster names or
policy names in the events, a forward TO_ENDPOINT says INGRESS, node names are bare. DNS is visible through an
annotation, for no rule there sends lookups to the proxy; without that, `toFQDNs` would never learn an address.

    flowmine recommend sample_flows/empire
    flowmine drops sample_flows/empire --policies sample_flows/empire/policies

| who | to whom | outcome |
|---|---|---|
| tiefighter, xwing | deathstar 80 | delivered: all within the namespace may talk |
| every pod of the namespace | kube-dns | delivered |
| kube-dns, another namespace's pod | deathstar 80 | dropped at ingress |
| tiefighter | kubernetes-dashboard | dropped at egress |
| prometheus | deathstar 8080 `GET /metrics` | delivered |
| prometheus | deathstar 8080 `GET /random_get` | denied by the proxy (403) |
| prometheus | deathstar 80 | dropped at ingress |
| tiefighter | `cilium.io` | delivered |
| tiefighter, xwing | `google.com` | dropped at egress |
"""

_NODE = """# node

Three nodes with the host firewall on (cluster `node`, native routing, Cilium 1.19). Recorded by the exporter to
standard output, as the container runtime keeps it: `TIME stdout F {...}` lines, one file a node.

    flowmine recommend sample_flows/node --host-policies
    flowmine drops sample_flows/node --policies sample_flows/node/policies

Two host policies are in force. `host-ns` selects nodes by `nodeSelector` and guards `worker-1`
(`node-access=example`): the cluster gets in, everyone gets to SSH, nothing else. `host-es` tries the same with an
`endpointSelector` on `reserved:host`, which selects nothing.

| who | to whom | outcome |
|---|---|---|
| an administrator, strangers | every node, 22/TCP | delivered |
| strangers | worker-1, 6443 and 30080 | dropped at the host's ingress |
| strangers | the other nodes, 6443 and 30080 | delivered: no policy selects them |
| other nodes, a pod | nodes, 10250/TCP and ping | delivered |
| tiefighter, xwing | deathstar 80 | delivered |
| tiefighter | 10.0.4.10 and .11, 443 (an outpost behind an egress gateway) | delivered |
"""

READMES = {
    "three-tier": _THREE_TIER + _MADE.format(module="three_tier"),
    "linkding": _LINKDING + _MADE.format(module="linkding"),
    "empire": _EMPIRE + _MADE.format(module="empire"),
    "node": _NODE + _MADE.format(module="node"),
}
