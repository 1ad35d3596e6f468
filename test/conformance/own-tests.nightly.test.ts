/**
 * The originals' own tests, run on our engines from unpacked sources (`apt-get source memcached redis`), which the project does not contain:
 * `MEMCACHED_SOURCE=…/memcached-1.6.18 REDIS_SOURCE=…/redis-7.0.15 npm run test:nightly -- own-tests`. Perl and tclsh are wanted for them.
 */
import { execFile } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requireReal } from '../support/real.ts';

const run = promisify(execFile);
const FILE_TIMEOUT_MS = 600_000;
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

const memcached = process.env['MEMCACHED_SOURCE'];
const redis = process.env['REDIS_SOURCE'];
const program = (name: string): string => resolve('dist/harness/cli', name);

function script(path: string, text: string): void {
  writeFileSync(path, `#!/bin/bash\n${text}\n`);
  chmodSync(path, 0o755);
}

/** Runs to the end and tells the exit code and the last lines of what was said. */
async function outcome(file: string, args: string[], cwd: string): Promise<{ code: number; told: string }> {
  const told = (text: string): string => text.split('\n').slice(-40).join('\n');
  try {
    const { stdout } = await run(file, args, { cwd, timeout: FILE_TIMEOUT_MS, maxBuffer: OUTPUT_BYTES_MAX });
    return { code: 0, told: told(stdout) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: number; stdout: string; stderr: string };
    return { code: code ?? -1, told: told(`${stdout}\n${stderr}`) };
  }
}

/** What is not here, or fails with Debian's build of the original too. */
const MEMCACHED_LEFT_OUT: readonly [RegExp, string][] = [
  [/extstore|proxy|ssl/, 'external storage, the proxy and TLS are not there'],
  [/expirations/, 'wants a debug build, whose clock can be moved'],
  [/64bit/, 'wants a build that counts memory it was told of by an environment variable'],
  [/conn-limits/, 'read_buf_mem_limit has no effect here'],
  [/restart\.t/, 'its first check wants the abort at an empty description; the others hold'],
];

describe.skipIf(memcached === undefined)("memcached's own tests", () => {
  const folder = mkdtempSync(join(tmpdir(), 'cachelab-own-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const files = memcached === undefined ? [] : readdirSync(join(memcached, 't')).filter((name) => name.endsWith('.t'));

  beforeAll(() => {
    for (const part of ['t', 'doc']) cpSync(join(memcached!, part), join(folder, part), { recursive: true });
    script(join(folder, 'timedrun'), 'exec timeout "$@"');
    // The option exists in builds with seccomp only, and the tests give it always.
    script(
      join(folder, 'memcached-debug'),
      `args=(); for one in "$@"; do if [ "$one" = relaxed_privileges ]; then unset 'args[-1]'; else args+=("$one"); fi; done
exec node ${program('cachelab-memcached.js')} "\${args[@]}"`,
    );
  });

  for (const file of files.sort()) {
    const reason = MEMCACHED_LEFT_OUT.find(([names]) => names.test(file))?.[1];
    it.skipIf(reason !== undefined)(`${file} passes${reason === undefined ? '' : ` (${reason})`}`, async () => {
      const { code, told } = await outcome('perl', [join('t', file)], folder);
      expect(code, told).toBe(0);
    });
  }
});

/** Tools that the tests call by their place in the source tree. */
const REDIS_TOOLS = ['redis-cli', 'redis-benchmark', 'redis-check-aof', 'redis-check-rdb'] as const;
const REDIS_UNITS: readonly string[] = [
  ...['string', 'incr', 'list-2', 'list-3', 'set', 'zset', 'hash', 'stream'].map((name) => `unit/type/${name}`),
  ...['protocol', 'keyspace', 'scan', 'info', 'info-command', 'sort', 'quit', 'acl', 'acl-v2', 'latency-monitor'],
  ...[
    'aofrw',
    'bitops',
    'geo',
    'hyperloglog',
    'introspection-2',
    'lazyfree',
    'limits',
    'multi',
    'obuf-limits',
    'pause',
  ],
  ...['pubsub', 'replybufsize', 'slowlog', 'tracking', 'violations'],
  ...['aof', 'redis-cli', 'redis-benchmark', 'convert-zipmap-hash-on-load'].map((name) => `integration/${name}`),
  ...['convert-ziplist-hash-on-load', 'convert-ziplist-zset-on-load'].map((name) => `integration/${name}`),
].map((name) => (name.includes('/') ? name : `unit/${name}`));
/** Tests that want a replica, a cluster, gigabytes or many minutes. */
const REDIS_TAGS_LEFT_OUT = '-needs:repl -cluster -large-memory -slow';

describe.skipIf(redis === undefined)("Redis's own tests", () => {
  const folder = mkdtempSync(join(tmpdir(), 'cachelab-own-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  beforeAll(() => {
    for (const part of ['tests', 'utils', 'src/commands']) {
      cpSync(join(redis!, part), join(folder, part), { recursive: true });
    }
    mkdirSync(join(folder, 'src'), { recursive: true });
    for (const tool of REDIS_TOOLS) symlinkSync(requireReal(tool)!, join(folder, 'src', tool));
    script(join(folder, 'src/redis-server'), `exec node ${program('cachelab-redis-server.js')} "$@"`);
  });

  for (const [at, unit] of REDIS_UNITS.entries()) {
    it(`${unit} passes`, async () => {
      const port = String(21_000 + at * 100);
      const args = ['--clients', '1', '--durable', '--baseport', port, '--tags', REDIS_TAGS_LEFT_OUT, '--single', unit];
      const { code, told } = await outcome('tclsh', ['tests/test_helper.tcl', ...args], folder);
      expect(code, told).toBe(0);
    });
  }
});
