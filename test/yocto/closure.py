"""Which recipes an image can need: the closure of some seeds over bitbake's own parse cache.

usage: closure.py BITBAKE-LIB BB-CACHE RESULT.json SEED...

A seed is a recipe or a package. The result names the recipes' files (`recipes`, base names without version) and the
recipes in those files that no seed needs (`outsideWorld`), so that `bitbake world` stays whole when all others are masked.
Reads build and runtime dependencies and those of tasks (flags `depends` and
`rdepends`). A name that nobody provides is reported in
`missing`; bitbake itself decides whether that matters.
"""

import collections
import json
import os
import pickle
import re
import sys

bitbake_lib, cache_file, result_file, *seeds = sys.argv[1:]
sys.path.insert(0, bitbake_lib)
import bb.cache  # noqa: E402  (from the checkout that wrote the cache)

recipes = {}
with open(cache_file, "rb") as stream:
    reader = pickle.Unpickler(stream)
    reader.load(), reader.load()  # version of the cache, version of bitbake
    while True:
        try:
            name, info = reader.load(), reader.load()
        except EOFError:
            break
        if isinstance(info, bb.cache.CoreRecipeInfo) and not info.skipped:
            recipes[name] = info

build_providers = collections.defaultdict(set)
runtime_providers = collections.defaultdict(set)
for name, info in recipes.items():
    for provided in [info.pn, *info.provides]:
        build_providers[provided].add(name)
    for provided in [*info.packages, *info.rprovides, *(p for some in info.rprovides_pkg.values() for p in some)]:
        runtime_providers[provided].add(name)
dynamic = [(re.compile(p), name) for name, info in recipes.items() for p in info.packages_dynamic if p]


def providers_of(wanted, at_runtime):
    found = runtime_providers.get(wanted) if at_runtime else build_providers.get(wanted)
    if not found and at_runtime:
        found = {name for pattern, name in dynamic if pattern.match(wanted)}
    return found or set()


needed, queue, missing = set(), [], collections.defaultdict(set)


def need(wanted, at_runtime, by, optional=False):
    found = providers_of(wanted, at_runtime)
    if not found and not optional:
        missing[wanted].add(by)
    # of several providers the one of that name is what bitbake takes; otherwise keep them all
    for name in {one for one in found if recipes[one].pn == wanted} or found:
        if name not in needed:
            needed.add(name)
            queue.append(name)


for seed in seeds:
    need(seed, not providers_of(seed, False), "seed")
while queue:
    info = recipes[queue.pop()]
    for wanted in info.depends:
        need(wanted, False, info.pn)
    for tasks in (info.task_deps.get("depends") or {}).values():
        for wanted in tasks.split():
            need(wanted.split(":")[0], False, info.pn)
    for tasks in (info.task_deps.get("rdepends") or {}).values():
        for wanted in tasks.split():
            need(wanted.split(":")[0], True, info.pn)
    for wanted in [*info.rdepends, *(w for some in info.rdepends_pkg.values() for w in some)]:
        need(wanted, True, info.pn)
    for wanted in [*info.rrecommends, *(w for some in info.rrecommends_pkg.values() for w in some)]:
        need(wanted, True, info.pn, optional=True)


def file_of(name):
    return name[name.index("/") :]  # without `virtual:native:`


files = {file_of(name) for name in needed}
result = {
    "recipes": sorted({os.path.basename(file)[: -len(".bb")].split("_")[0] for file in files}),
    "outsideWorld": sorted({i.pn for n, i in recipes.items() if file_of(n) in files and n not in needed}),
    "missing": {wanted: sorted(by)[:3] for wanted, by in sorted(missing.items())},
    "parsed": len(recipes),
}
with open(result_file, "w", encoding="utf-8") as stream:
    json.dump(result, stream, indent=1)
    stream.write("\n")
