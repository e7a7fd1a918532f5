import { describe, expect, it } from 'vitest';
import { readDeviceFacts } from './device-facts.ts';
import { makeRootfs } from './rootfs-fixture.ts';

const BASE = {
  'usr/lib/os-release': 'ID=acme\nNAME="Acme \\"Linux\\""\n',
  'etc/os-release': '-> ../usr/lib/os-release',
  'usr/lib/systemd/systemd': '',
  'usr/lib/systemd/libsystemd-shared-254.so': '',
  'usr/sbin/init': '-> ../lib/systemd/systemd',
  'usr/bin/openssl': 'x',
  'usr/sbin/resize2fs': 'x',
  'usr/lib/systemd/systemd-growfs': 'x',
  bin: '-> usr/bin',
  sbin: '-> usr/sbin',
  lib: '-> usr/lib',
};

describe('readDeviceFacts', () => {
  it('of a merged, plain base', async () => {
    await using disk = await makeRootfs(BASE);
    const facts = await disk.open(readDeviceFacts);
    expect(facts).toMatchObject({
      osRelease: { ID: 'acme', NAME: 'Acme "Linux"' },
      init: 'systemd',
      systemdVersion: 254,
      unitDirectory: '/usr/lib/systemd/system',
      mergedUsr: true,
      selinux: false,
      ostree: false,
      readOnlyRoot: false,
      engines: [],
      programs: {
        openssl: '/usr/bin/openssl',
        resize2fs: '/usr/sbin/resize2fs',
        'systemd-growfs': '/usr/lib/systemd/systemd-growfs',
      },
    });
    expect(facts.socketVersion).toBeUndefined();
    expect(facts.kernelConfig).toBeUndefined();
  });

  it('of a base with a separate /lib, a read-only root, OSTree, AppArmor, a kernel config and a socket', async () => {
    await using disk = await makeRootfs({
      'lib/systemd/system/': '',
      'lib/systemd/systemd': '',
      'lib/systemd/libsystemd-shared-243.so': '',
      'sbin/init': '-> /lib/systemd/systemd',
      'sbin/apparmor_parser': 'x',
      'etc/fstab': '# x\n/dev/root / auto defaults,ro 1 1\nLABEL=d /var/lib/docker ext4 defaults 0 2\n',
      'ostree/repo/config': '',
      'boot/config-6.1.0': 'CONFIG_CGROUPS=y\n# CONFIG_OVERLAY_FS is not set\nCONFIG_VETH=m\nCONFIG_LSM="yama,apparmor"\nCONFIG_FOO=y\n',
      'usr/lib/boxship/socket.json': '{\n  "socketVersion": 3\n}\n',
      'usr/lib/boxship/socket.env': 'BOXSHIP_TABLE=mbr\nBOXSHIP_STORE_UUID=aa\nBOXSHIP_DATA_UUID=bb\nBOXSHIP_BINDS="a.mount b.mount"\n',
      'usr/lib/boxship/store.pem': 'key',
    }); // prettier-ignore
    expect(await disk.open(readDeviceFacts)).toMatchObject({
      init: 'systemd',
      systemdVersion: 243,
      unitDirectory: '/lib/systemd/system',
      mergedUsr: false,
      apparmorParser: true,
      ostree: true,
      socketVersion: 3,
      socket: {
        version: 3,
        publicKeyPem: 'key',
        tableType: 'mbr',
        storeUuid: 'aa',
        dataUuid: 'bb',
        binds: ['a.mount', 'b.mount'],
      },
      readOnlyRoot: true,
      mountPoints: ['/', '/var/lib/docker'],
      kernelConfig: { CGROUPS: 'y', OVERLAY_FS: 'n', VETH: 'm', LSM: 'yama,apparmor' },
    });
  });

  it('of another init', async () => {
    await using disk = await makeRootfs({ 'sbin/init': '-> /bin/busybox', 'bin/busybox': '' });
    expect((await disk.open(readDeviceFacts)).init).toBe('other');
  });

  it('of docker: version from the package database, flags through drop-ins and environment files', async () => {
    await using disk = await makeRootfs({
      ...BASE,
      'usr/bin/dockerd': 'x',
      'usr/libexec/docker/cli-plugins/docker-compose': 'x',
      'etc/docker/daemon.json': '{ "storage-driver": "btrfs" }',
      'var/lib/dpkg/status':
        'Package: docker.io\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: docker-ce\nStatus: install ok installed\nVersion: 5:26.1.5~3-0+x\n',
      'etc/default/docker': '# c\nDOCKER_OPTS="--data-root=/srv/docker"\n',
      'usr/lib/systemd/system/docker.service':
        '[Service]\nEnvironmentFile=-/etc/default/docker\nExecStart=/usr/bin/old\n',
      'etc/systemd/system/docker.service.d/a.conf':
        '[Service]\nExecStart=\nExecStart=/usr/bin/dockerd \\\n  -H fd:// $DOCKER_OPTS ${NOTHING}\n',
    });
    expect((await disk.open(readDeviceFacts)).engines).toEqual([
      {
        name: 'docker',
        program: '/usr/bin/dockerd',
        version: '26.1.5',
        unit: 'docker.service',
        execStart: '/usr/bin/dockerd -H fd:// --data-root=/srv/docker',
        daemonConfig: { 'storage-driver': 'btrfs' },
        composePlugin: true,
      },
    ]);
  });

  it('of k3s: what its configuration files say in words and lists', async () => {
    await using disk = await makeRootfs({
      ...BASE,
      'usr/local/bin/k3s': 'x',
      'etc/rancher/k3s/config.yaml':
        '# data-dir: /no\ndata-dir: "/srv/k3s" # large\ndisable:\n  - traefik\n  - "coredns"\ndocker: true\n',
      'etc/rancher/k3s/config.yaml.d/50.yaml': 'disable+: [servicelb, local-storage]\nkubelet-arg:\n  - "max-pods=9"\n',
      'etc/rancher/k3s/config.yaml.d/50.txt': 'snapshotter: native\n',
    });
    const { engines } = await disk.open(readDeviceFacts);
    expect(engines[0]!.serverConfig!.map(({ name, value, file }) => `${file.slice(17)} ${name} ${value}`)).toEqual([
      'config.yaml data-dir /srv/k3s',
      'config.yaml disable traefik,coredns',
      'config.yaml docker true',
      'config.yaml.d/50.yaml disable servicelb,local-storage',
      'config.yaml.d/50.yaml kubelet-arg max-pods=9',
    ]);
  });

  it('of podman: its storage.conf, the one that podman reads, netavark and the generator for Quadlet files', async () => {
    const text =
      '# graphroot = "/no"\n[storage]\n  driver = "overlay" # as usual\ngraphroot="/srv/podman"\n[storage.options]\nimagestore = "/not/this"\nadditionalimagestores = [ # two\n "/a", # "/no"\n  \'/b c\',\n]\n[storage.options.overlay]\nadditionalimagestores = ["/not/this"]\n';
    await using disk = await makeRootfs({
      ...BASE,
      'usr/bin/podman': 'x',
      'usr/lib/podman/netavark': 'x',
      'usr/lib/systemd/system-generators/podman-system-generator': 'x',
      'usr/share/containers/storage.conf': '[storage]\ndriver = "vfs"\n',
      'etc/containers/storage.conf': text,
      'var/lib/dpkg/status': 'Package: podman\nStatus: install ok installed\nVersion: 4.3.1+ds1-8+deb12u1+b3\n',
    });
    expect((await disk.open(readDeviceFacts)).engines).toEqual([
      {
        name: 'podman',
        program: '/usr/bin/podman',
        version: '4.3.1',
        storageConfig: {
          file: '/etc/containers/storage.conf',
          driver: 'overlay',
          graphroot: '/srv/podman',
          additionalStores: ['/a', '/b c'],
          text,
        },
        netavark: true,
        quadlet: true,
        composePlugin: false,
      },
    ]);
  });

  it.each([
    ['its root', 'version = 2\nroot = "/srv/containerd" # big\n[plugins]\nroot = "/no"\n', { root: '/srv/containerd' }],
    ['nothing', 'disabled_plugins = ["cri"]\n[plugins."x"]\n  root = "/no"\n', {}],
    ['no file', undefined, undefined],
  ])('of containerd: what its configuration says: %s', async (_name, text, expected) => {
    const files = { ...BASE, 'usr/bin/containerd': 'x', ...(text === undefined ? {} : { 'etc/containerd/config.toml': text }) };
    await using disk = await makeRootfs(files);
    const [containerd] = (await disk.open(readDeviceFacts)).engines;
    expect(containerd?.name).toBe('containerd');
    expect(containerd?.containerdConfig).toEqual(expected && { file: '/etc/containerd/config.toml', ...expected });
  }); // prettier-ignore

  it("finds docker's version in the program, and refuses a broken daemon.json", async () => {
    const program = `${'\0'.repeat(5_000_000)}build\t-ldflags="-X github.com/docker/docker/dockerversion.Version=28.5.2 -X b"`;
    await using disk = await makeRootfs({ ...BASE, 'usr/bin/dockerd': program });
    expect((await disk.open(readDeviceFacts)).engines[0]).toMatchObject({ version: '28.5.2', composePlugin: false });
    await using broken = await makeRootfs({ ...BASE, 'usr/bin/dockerd': 'x', 'etc/docker/daemon.json': '{,' });
    await expect(broken.open(readDeviceFacts)).rejects.toThrow('not a JSON object');
  });
});
