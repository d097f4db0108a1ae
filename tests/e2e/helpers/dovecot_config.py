"""What differs between Dovecot 2.3 and 2.4 as seen from outside: the configuration file, and where modules are looked for.

Tests speak of settings by the names that 2.3 has for them; here they become those of the Dovecot that is installed.
"""

import atexit
import functools
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SYSTEM_MODULES = Path("/usr/lib/dovecot/modules")
LIBEXEC = Path("/usr/lib/dovecot")
LMTP_PORT = 2424
SPF_SERVICE = "backscatter-spf"
SUBMISSION_PORT = 5870


def installed_version() -> tuple[int, int, int]:
    out = subprocess.run(["dovecot", "--version"], capture_output=True, text=True, check=True).stdout
    major, minor, patch = re.match(r"(\d+)\.(\d+)\.(\d+)", out).groups()
    return int(major), int(minor), int(patch)


VERSION = installed_version()
IS_2_3 = VERSION < (2, 4)
OUR_CONFIG = ROOT / "conf.d" / ("95-backscatter.conf" if IS_2_3 else "95-backscatter-2.4.conf")


# Nobody reads them. Where the machine is busy, Dovecot's processes complain that the service that collects them doesn't
# answer in time ("Timeout waiting for handshake"): an error that is none of ours.
NO_STATISTICS = "stats_writer_socket_path ="


def configuration(dovecot) -> str:
    """The whole configuration file of a Dovecot (see there)."""
    return configuration_2_3(dovecot) if IS_2_3 else configuration_2_4(dovecot)


def command(dovecot, program: Path | str, *args: str) -> list[str]:
    """How a program of Dovecot's is run with the configuration of a Dovecot."""
    argv = [str(program), "-c", str(dovecot.config), *args]
    if IS_2_3:
        return argv
    # What the program itself does in order to read a configuration file, but with a doveconf that knows our modules.
    # -C: the master checks everything.
    check = ["-C"] if program == "dovecot" else []
    return [str(dovecot.programs / "doveconf-program"), "-c", str(dovecot.config), *check, "-F", *argv]


def asking(dovecot, program: Path, *args: str) -> list[str]:
    """The same, asking the running Dovecot for its configuration: half the work of having doveconf read the file."""
    if dovecot.running:
        return [str(program), "-c", str(dovecot.run / "config"), *args]
    return command(dovecot, program, *args)


def doveadm(dovecot, *args: str) -> list[str]:
    return asking(dovecot, dovecot.programs / "doveadm-program", *args)


def doveconf(dovecot, *args: str) -> list[str]:
    program = "doveconf" if IS_2_3 else str(dovecot.programs / "doveconf-program")
    return [program, "-c", str(dovecot.config), *args]


# Modules and programs

@functools.cache
def programs(ours: Path | None) -> Path:
    """A folder with the system's modules as links, ours as copies (`make` may replace them while a Dovecot runs), and the
    programs that look for modules. `ours`: a folder like build/modules, or None. Made once, for all Dovecots of this process.

    mail_plugin_dir names one of the folders. The others' names are compiled into programs: these are copied, with our
    folder's name in its place."""
    folder = Path(tempfile.mkdtemp(prefix="bs-", dir="/tmp"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    link_modules(SYSTEM_MODULES, folder / "modules", ours)
    if ours:
        shutil.copy(ours.parent / "libexec" / SPF_SERVICE, folder / SPF_SERVICE)
    link_modules(SYSTEM_MODULES / "doveadm", folder / "doveadm", ours and ours / "doveadm")
    for program, copy in ((Path("/usr/bin/doveadm"), "doveadm-program"), (LIBEXEC / "doveadm-server", "doveadm-server")):
        renamed(program, folder / copy, folder / "doveadm")
    if not IS_2_3:
        link_modules(SYSTEM_MODULES / "settings", folder / "settings", ours and ours / "settings")
        renamed(Path("/usr/bin/doveconf"), folder / "doveconf-program", folder / "settings")
        renamed(LIBEXEC / "config", folder / "config-program", folder / "settings")
    return folder


def link_modules(system: Path, target: Path, ours: Path | None) -> None:
    target.mkdir()
    for module in system.iterdir():
        (target / module.name).symlink_to(module)
    for module in ours.glob("*.so") if ours else ():
        shutil.copy(module, target / module.name)


def renamed(program: Path, copy: Path, modules: Path) -> None:
    copy_with_path(program, copy, SYSTEM_MODULES / modules.name, modules)


def copy_with_path(program: Path, copy: Path, compiled_in: Path, wanted: Path) -> None:
    old, new = str(compiled_in).encode() + b"\0", str(wanted).encode() + b"\0"
    binary = program.read_bytes()
    assert binary.count(old) == 1 and len(new) <= len(old), wanted
    copy.unlink(missing_ok=True)
    copy.write_bytes(binary.replace(old, new.ljust(len(old), b"\0")))
    copy.chmod(0o755)


def resolv_conf(folder: Path) -> Path:
    """What our service reads in place of /etc/resolv.conf. That path is compiled in: this one must not be longer."""
    return folder.with_name(folder.name.replace("bs-", "rc-"))


def install_spf_service(dovecot) -> None:
    """A Dovecot's own, which a test may replace; with a resolv.conf of its own, if it has one."""
    installed, own = dovecot.programs / SPF_SERVICE, dovecot.folder / SPF_SERVICE
    if dovecot.resolv_conf is None:
        own.unlink(missing_ok=True)
        own.symlink_to(installed)
    else:
        resolv_conf(dovecot.folder).write_text(dovecot.resolv_conf)
        copy_with_path(installed, own, Path("/etc/resolv.conf"), resolv_conf(dovecot.folder))


# Dovecot 2.3

def configuration_2_3(dovecot) -> str:
    location = {"maildir": "maildir:~/Maildir", "sdbox": "sdbox:~/sdbox", "mdbox": "mdbox:~/mdbox"}
    everywhere = [dovecot.mail_plugins.get("", ""), "quota" if dovecot.quota else "", "acl" if dovecot.acl else ""]
    settings = {"sieve": "file:~/sieve;active=~/.dovecot.sieve", "sieve_redirect_envelope_from": "recipient"}
    if dovecot.quota:
        settings |= {"quota": "count:User quota", "quota_vsizes": "yes", "quota_rule": dovecot.quota}
    if dovecot.acl:
        settings["acl"] = "vfile"
    delivery = "sieve" if dovecot.sieve else ""
    text = f"""
base_dir = {dovecot.run}
state_dir = {dovecot.run}
log_path = /dev/stderr
{NO_STATISTICS}
mail_debug = {yes_no(dovecot.debug)}
ssl = no
disable_plaintext_auth = no
protocols = {" ".join(protocols(dovecot))}
listen = 127.0.0.1
hostname = mx.example.test
postmaster_address = postmaster@example.test
recipient_delimiter = +
lmtp_save_to_detail_mailbox = {yes_no(dovecot.lmtp_save_to_detail_mailbox)}
login_trusted_networks = 127.0.0.0/8
first_valid_uid = 1000
mail_location = {location[dovecot.mail_format]}
mail_plugin_dir = {dovecot.programs}/modules
mail_plugins = {" ".join(everywhere)}
passdb {{
  driver = passwd-file
  args = username_format=%Lu {dovecot.folder}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%Lu {dovecot.folder}/users
}}
{services(dovecot)}
{submission(dovecot)}
plugin {{
{block(settings)}}}
protocol lmtp {{
  mail_plugins = $mail_plugins {delivery}
}}
protocol lda {{
  mail_plugins = $mail_plugins {delivery}
}}
"""
    if dovecot.backscatter:
        text += f"!include {OUR_CONFIG}\nservice {SPF_SERVICE} {{\n  executable = {dovecot.folder}/{SPF_SERVICE}\n}}\n"
    for protocol, names in dovecot.mail_plugins.items():
        if protocol:
            text += f"protocol {protocol} {{\n  mail_plugins = $mail_plugins {names}\n}}\n"
    return text + f"plugin {{\n{block(dovecot.plugin | dovecot.unchecked)}}}\n{dovecot.extra}\n"


def block(settings: dict[str, str]) -> str:
    return "".join(f"  {name} = {value}\n" for name, value in settings.items())


def yes_no(value: bool) -> str:
    return "yes" if value else "no"


def protocols(dovecot) -> list[str]:
    return ["imap", "lmtp"] + ["submission"] * (dovecot.relay is not None)


LISTEN = "address" if IS_2_3 else "listen"
# Not a process for each login.
MANY_LOGINS = "service_count = 0" if IS_2_3 else "restart_request_count = unlimited"


def submission(dovecot) -> str:
    """The submission service, if there is a relay."""
    if dovecot.relay is None:
        return ""
    host, port = dovecot.relay
    return f"""\
submission_relay_host = {host}
submission_relay_port = {port}
imap_urlauth_host = *
service submission-login {{
  {MANY_LOGINS}
  inet_listener submission {{
    {LISTEN} = {dovecot.address}
    port = {SUBMISSION_PORT}
  }}
  inet_listener submissions {{
    port = 0
  }}
}}"""


def services(dovecot) -> str:
    """All but the same in both."""
    # 2.4 refuses to sync with a Maildir unless they agree about the separator
    separator = "" if IS_2_3 else "\n  separator = ."
    return f"""\
service lmtp {{
  unix_listener lmtp {{
    mode = 0666
  }}
  inet_listener lmtp {{
    {LISTEN} = {dovecot.address}
    port = {LMTP_PORT}
  }}
}}
service doveadm {{
  executable = {dovecot.programs}/doveadm-server
}}
service imap-login {{
  {MANY_LOGINS}
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = 0
  }}
  unix_listener imap.sock {{
    mode = 0666
  }}
}}
namespace inbox {{
  inbox = yes{separator}
  mailbox Sent {{
    auto = create
    special_use = \\Sent
  }}
}}"""


# Dovecot 2.4

def configuration_2_4(dovecot) -> str:
    version = ".".join(map(str, VERSION))
    everywhere = dovecot.mail_plugins.get("", "").split()
    everywhere += ["quota"] * bool(dovecot.quota) + ["acl"] * dovecot.acl
    delivery = ["sieve"] if dovecot.sieve else []
    text = f"""
dovecot_config_version = {version}
dovecot_storage_version = {version}
base_dir = {dovecot.run}
state_dir = {dovecot.run}
log_path = /dev/stderr
{NO_STATISTICS}
ssl = no
auth_allow_cleartext = yes
listen = 127.0.0.1
hostname = mx.example.test
postmaster_address = postmaster@example.test
recipient_delimiter = +
lmtp_save_to_detail_mailbox = {yes_no(dovecot.lmtp_save_to_detail_mailbox)}
login_trusted_networks = 127.0.0.0/8
first_valid_uid = 1000
mail_driver = {dovecot.mail_format}
mail_path = ~/{"Maildir" if dovecot.mail_format == "maildir" else dovecot.mail_format}
mail_plugin_dir = {dovecot.programs}/modules
sieve_redirect_envelope_from = recipient
{switched_on("protocols", protocols(dovecot))}
{switched_on("mail_plugins", everywhere)}
passdb passwd-file {{
  passwd_file_path = {dovecot.folder}/users
}}
userdb passwd-file {{
  passwd_file_path = {dovecot.folder}/users
  fields {{
  {block(dovecot.unchecked)}
  }}
}}
service config {{
  executable = {dovecot.programs}/config-program
}}
{services(dovecot)}
{submission(dovecot)}
sieve_script personal {{
  driver = file
  path = ~/sieve
  active_path = ~/.dovecot.sieve
}}
protocol lmtp {{
{switched_on("mail_plugins", delivery)}
}}
protocol lda {{
{switched_on("mail_plugins", delivery)}
}}
"""
    if dovecot.debug:
        text += "mail_debug = yes\nlog_debug = category=mail\n"
    if dovecot.quota:
        text += quota_2_4(dovecot.quota)
    if dovecot.acl:
        text += "acl_driver = vfile\n"
    if dovecot.backscatter:
        text += f"!include {OUR_CONFIG}\nservice {SPF_SERVICE} {{\n  executable = {dovecot.folder}/{SPF_SERVICE}\n}}\n"
    for protocol, names in dovecot.mail_plugins.items():
        if protocol:
            text += f"protocol {protocol} {{\n{switched_on('mail_plugins', names.split())}\n}}\n"
    for name, value in dovecot.plugin.items():
        # 2.3 takes settings that nobody knows
        if dovecot.backscatter or not name.startswith("backscatter_"):
            text += plugin_setting_2_4(name, value)
    return text + raw_2_4(dovecot.extra) + "\n"


def switched_on(setting: str, names: list[str]) -> str:
    return f"{setting} {{\n{block(dict.fromkeys(names, 'yes'))}}}"


def quota_2_4(rule: str) -> str:
    """quota_rule = *:storage=10k. What a message may exceed it by is 10 % in 2.3, and 10 MB in 2.4 unless said."""
    number, unit = re.fullmatch(r"\*:storage=(\d+)([kM])", rule).groups()
    limit = int(number) * {"k": 1024, "M": 1024 * 1024}[unit]
    return f"quota \"User quota\" {{\n  driver = count\n  storage_size = {limit}B\n  storage_grace = {limit // 10}B\n}}\n"


def plugin_setting_2_4(name: str, value: str) -> str:
    if name.startswith("backscatter_"):
        return f"{name} = {variables_2_4(value)}\n"
    if name == "acl":
        return f"acl_driver = {value}\n"
    if name == "sieve_extensions":
        changes = {word.lstrip("+-"): yes_no(word[0] != "-") for word in value.split()}
        return f"{name} {{\n{block(changes)}}}\n"
    if name in ("sieve_before", "sieve_after"):
        kind = name.removeprefix("sieve_")
        return f"sieve_script {kind} {{\n  type = {kind}\n  driver = file\n  path = {value}\n}}\n"
    if name.startswith("quota_rule") and value.endswith(":ignore"):
        return f"mailbox {value.removesuffix(':ignore')} {{\n  quota_ignore = yes\n}}\n"
    raise KeyError(f"how does Dovecot 2.4 write {name} = {value}?")


# Lines of raw configuration that 2.4 writes otherwise.
RAW_2_4 = [
    (r"^(\s*)(?:mail_)?location = (\w+):(\S+)$", r"\1mail_driver = \2\n\1mail_path = \3"),
    (r"^(\s*)service_count = (\d+)$", r"\1restart_request_count = \2"),
    (r"^(\s*)mail_plugins = \$mail_plugins (\w+)$", r"\1mail_plugins {\n\1  \2 = yes\n\1}"),
]


def raw_2_4(text: str) -> str:
    for regex, replacement in RAW_2_4:
        text = re.sub(regex, replacement, text, flags=re.MULTILINE)
    text = re.sub(r"^plugin \{\n(.*?)^\}$", lambda found: plugin_block_2_4(found.group(1)), text, flags=re.MULTILINE | re.DOTALL)
    return variables_2_4(text)


def plugin_block_2_4(lines: str) -> str:
    settings = (line.strip().split(" = ", 1) for line in lines.splitlines())
    return "".join(plugin_setting_2_4(name, value) for name, value in settings)


def variables_2_4(text: str) -> str:
    """%u, and a shared namespace's %%u and %%h."""
    for old, new in (("%%u", "$user"), ("%%h", "%{owner_home}"), ("%u", "%{user}")):
        text = text.replace(old, new)
    return text
