"""A private Postfix: a mail server that nobody here wrote. It takes mail on one port and hands ours to our door by LMTP."""

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Self

from tests.peers.debian import libraries, unpack
from tests.stage import end, free_port, listens, until

OWNER, GROUP = "mail", "operator"  # of Debian's own; Postfix wants some that are nobody else's here
OURS = ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"]
MASTER = """127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
tlsmgr unix - - n 1000? 1 tlsmgr
"""
MAIN = """compatibility_level = 3.6
import_environment = MAIL_CONFIG LD_LIBRARY_PATH={libraries} POSTLOG_SERVICE POSTLOG_HOSTNAME
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = {root}/usr/lib/postfix/sbin
command_directory = {root}/usr/sbin
shlib_directory = {root}/usr/lib/postfix
meta_directory = {root}/etc/postfix
mail_owner = {owner}
setgid_group = {group}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = relay.carrier.example
mydestination =
local_recipient_maps =
mynetworks = 127.0.0.0/8
message_size_limit = 40000000
smtp_dns_support_level = disabled
smtp_host_lookup = native
alias_maps =
maillog_file = {folder}/maillog
maillog_file_prefixes = /
recipient_delimiter = +
transport_maps = inline:{{ {{ {domain} = lmtp:inet:127.0.0.1:{door} }} }}
default_transport = smtp:[127.0.0.1]:{people}
"""


class Postfix:
    """`door`: where what comes for `domain` is handed in; `people`: the mail server of everybody else."""

    def __init__(self, *, domain: str, door: int, people: int) -> None:
        self.port = free_port()
        self._told = {"domain": domain, "door": door, "people": people, "port": self.port, "owner": OWNER, "group": GROUP}
        self._master: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.folder = unpack("postfix")
        told = self._told | {"folder": self.folder, "root": self.folder / "root", "libraries": libraries(self.folder / "root")}
        conf = self.folder / "conf"
        conf.mkdir()
        (conf / "main.cf").write_text(MAIN.format(**told))
        (conf / "master.cf").write_text(MASTER.format(**told))
        self._make_queue()
        program = self.folder / "root/usr/lib/postfix/sbin/master"
        environment = os.environ | {"LD_LIBRARY_PATH": libraries(self.folder / "root")}
        queue = self.folder / "queue"
        self._master = subprocess.Popen([program, "-c", str(conf), "-d"], cwd=queue, env=environment)
        until(lambda: listens(self.port), "Postfix", self.log)
        return self

    def __exit__(self, *failure: object) -> None:
        if self._master:
            end(self._master, signal.SIGTERM)
        shutil.rmtree(self.folder, ignore_errors=True)

    def try_again(self) -> None:
        """What waits, now."""
        conf = self.folder / "conf"
        command = [self.folder / "root/usr/sbin/postqueue", "-c", str(conf), "-f"]
        environment = os.environ | {"LD_LIBRARY_PATH": libraries(self.folder / "root"), "MAIL_CONFIG": str(conf)}
        subprocess.run(command, env=environment, check=True, timeout=20)

    def log(self) -> str:
        path: Path = self.folder / "maillog"
        return path.read_text()[-3000:] if path.exists() else ""

    def _make_queue(self) -> None:
        queue = self.folder / "queue"
        for folder in (self.folder / "data", *(queue / name for name in OURS)):
            folder.mkdir(parents=True, mode=0o700)
            shutil.chown(folder, OWNER)
        (queue / "pid").mkdir(mode=0o755)
        for name, mode in (("maildrop", 0o730), ("public", 0o710)):
            (queue / name).mkdir()
            (queue / name).chmod(mode)
            shutil.chown(queue / name, OWNER, GROUP)
