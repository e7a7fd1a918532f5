#
# SPDX-License-Identifier: Apache-2.0
#
"""On the target: the container engine runs, the store is mounted and verified, the apps are up.

An image says what to look for: BOXSHIP_TEST_UNITS (units of the engine), BOXSHIP_TEST_PROBE (a command that succeeds where
the engine runs). The apps are those that the store brings; without a store there are none.
"""

from oeqa.core.decorator.depends import OETestDepends
from oeqa.runtime.case import OERuntimeTestCase


class BoxshipTest(OERuntimeTestCase):

    def words(self, variable):
        return (self.td.get(variable) or '').split()

    def check(self, command):
        status, output = self.target.run(command, 300)
        self.assertEqual(status, 0, '%s failed:\n%s' % (command, output))
        return output

    def has_store(self):
        return self.target.run('test -e /dev/boxship/store')[0] == 0

    @OETestDepends(['ssh.SSHTest.test_ssh'])
    def test_socket(self):
        self.check('test -x /usr/lib/boxship/verify')
        self.check('test -s /usr/lib/boxship/store.pem')
        self.check('systemctl is-active boxship-verify.service')

    @OETestDepends(['boxship.BoxshipTest.test_socket'])
    def test_engine(self):
        for unit in self.words('BOXSHIP_TEST_UNITS'):
            self.check('systemctl start %s && systemctl is-active %s' % (unit, unit))
        probe = self.td.get('BOXSHIP_TEST_PROBE')
        if probe:
            self.check(probe)

    @OETestDepends(['boxship.BoxshipTest.test_engine'])
    def test_store(self):
        if not self.has_store():
            self.skipTest('the disk has no store partition; the engine runs without it')
        self.check('test -e /run/boxship/verified')
        self.check('grep -q " /run/boxship/store " /proc/mounts')
        self.check('grep -q " /run/boxship/data " /proc/mounts')

    @OETestDepends(['boxship.BoxshipTest.test_store'])
    def test_apps(self):
        if not self.has_store():
            self.skipTest('the disk has no store partition')
        self.check('systemctl is-active boxship-apps.service')
        units = self.check('systemctl show --property=Wants --value boxship-apps.target').split()
        self.assertTrue(units, 'the store brings no unit of an app')
        for unit in units:
            self.check('systemctl is-active %s' % unit)
