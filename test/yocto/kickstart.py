"""What wic's own parser reads in wks files, as JSON: one object for each file.

usage: kickstart.py OPENEMBEDDED-CORE BITBAKE FILE...

Variables are answered from a fixed set, so that no bitbake is asked.
"""

import json
import pathlib
import re
import sys
import tempfile

core, bitbake, *files = sys.argv[1:]
sys.path[:0] = [f"{core}/scripts/lib", f"{bitbake}/lib"]
from wic import ksparser, misc  # noqa: E402  (from the checkout that is asked)

# what the recipes of machines use
VARIABLES = 'APPEND=""\nDEPLOY_DIR_IMAGE="/deploy"\nDISTRO="any"\nMACHINE="some"\n'
FIELDS = "mountpoint source fstype label part_name part_type system_id uuid exclude_path change_directory align size fixed_size disk no_table active use_uuid use_label"

plugins = pathlib.Path(core, "scripts/lib/wic/plugins/source").glob("*.py")
sources = {name for path in plugins for name in re.findall(r"^    name = ['\"](.+)['\"]", path.read_text(), re.M)}

with tempfile.TemporaryDirectory() as variables:
    pathlib.Path(variables, "image.env").write_text(VARIABLES, encoding="utf-8")
    misc.BB_VARS.vars_dir = variables
    misc.BB_VARS.default_image = "image"
    result = []
    for file in files:
        kickstart = ksparser.KickStart(file)
        parts = [
            {
                **{field: getattr(part, field, None) for field in FIELDS.split()},
                "known": part.source is None or part.source in sources,
                "parameters": part.sourceparams or "",
            }
            for part in kickstart.partitions
        ]
        boot = kickstart.bootloader
        result.append({"parts": parts, "table": boot.ptable, "append": boot.append, "timeout": boot.timeout})
print(json.dumps(result))
