/**
 * Files of the Redis-like engine cut off at each byte and changed at each: the engine refuses to start on them, or loads what the
 * original loads. A part of the cases is put before the original as well.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../../engines/base/random.ts';
import { emptyDb } from '../../engines/redis/db.ts';
import { dataDigest } from '../../engines/redis/digest.ts';
import { verifyCore } from '../../engines/redis/verify.ts';
import { everyEncoding, type Words } from '../redis/support/data-sets.ts';
import { Loopback } from '../redis/support/loopback.ts';
import { MemoryDisk } from '../support/memory-disk.ts';
import { requireReal } from '../support/real.ts';
import { RespClient, RespError } from '../support/resp-client.ts';
import { seededRandom, testScale } from '../support/seed.ts';

const ARENA_BYTES = 32 * 1024 * 1024;
/** Cases of each kind that the original is asked about. */
const ASKED = 8 * testScale;
const START_TIMEOUT_MS = 10_000;
const FLIPS = [1, 0x20, 0x80, 0xff];
const PIECES = [1, 7];
const REFUSED = 'refused';
const EMPTY = '0'.repeat(40);

type Files = Readonly<Record<string, Uint8Array>>;

/** No Buffer: slices of one share its bytes. */
const latin1 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

/** What our engine makes of files: a digest of the data, or that it does not start. */
class Ours {
  readonly disk = new MemoryDisk();
  readonly server: Loopback;

  constructor(appendonly: boolean) {
    this.server = new Loopback(
      ARENA_BYTES,
      (config) => {
        config.appendonly = appendonly;
        config.save = [];
      },
      1,
      'debian',
      this.disk,
    );
    // Times in the files are in the future, and idle times in the past, for either server.
    this.server.nowMs = Date.now();
    this.server.core.refreshTime();
    this.server.open(0);
  }

  load(files: Files): string {
    const { core } = this.server;
    this.disk.clear();
    for (const [name, bytes] of Object.entries(files)) this.disk.put(`./${name}`, bytes);
    let outcome = REFUSED;
    try {
      core.persistence.loadAtStart();
      verifyCore(core);
      outcome = dataDigest(core);
    } catch (error) {
      expect((error as Error).constructor.name, String((error as Error).stack)).toMatch(
        /^(Rdb|Aof)LoadError$|^ManifestError$/,
      );
    }
    core.persistence.aof.stop();
    for (const db of core.dbs) emptyDb(core, db);
    expect(this.disk.openCount).toBe(0);
    return outcome;
  }

  fill(commands: readonly Words[]): void {
    for (const words of commands) {
      const reply = this.server.command(0, ...words);
      if (reply instanceof RespError) expect.fail(`${JSON.stringify(words).slice(0, 100)}: ${reply.message}`);
    }
  }

  /** The RDB file of the present data. */
  snapshot(): Uint8Array {
    expect(this.server.core.persistence.save()).toBe(true);
    return this.disk.get('./dump.rdb');
  }
}

/** What the original said about the last files that it refused. */
let lastSaid = '';

/** What the original makes of the same files. */
async function real(program: string, files: Files, flags: readonly string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'cachelab-damaged-'));
  const path = join(folder, 's');
  for (const [name, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), bytes);
  }
  const standard = [
    '--port',
    '0',
    '--unixsocket',
    path,
    '--save',
    '',
    '--dir',
    folder,
    '--enable-debug-command',
    'yes',
  ];
  const child = spawn(program, [...standard, ...flags], { stdio: ['ignore', 'pipe', 'ignore'] });
  let said = '';
  child.stdout.on('data', (data: Buffer) => (said += data.toString('latin1')));
  // With all that it has said.
  const ended = once(child, 'close');
  try {
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 15));
      const client = await RespClient.connect({ path }).catch(() => null);
      if (client === null) continue;
      // DEBUG is answered while it loads too; PING is not.
      const asked = Promise.all([client.command('PING'), client.command('DEBUG', 'DIGEST')]);
      // A server that refuses its files ends without an answer to whoever has come by then.
      const answers = await Promise.race([asked, client.closed.then(() => null)]);
      await client.close();
      if (answers !== null && answers[0] === 'PONG') return String(answers[1]);
    }
    // Some damage makes the original crash instead of refusing: an unlucky length, mostly. Its files are refused all the same.
    if (child.signalCode === null) expect(child.exitCode, 'the exit code of the original').toBe(1);
    await ended;
    lastSaid = said;
    return REFUSED;
  } finally {
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Damage {
  readonly what: string;
  readonly bytes: Uint8Array;
}

function* damages(bytes: Uint8Array): Generator<Damage> {
  for (let length = 0; length < bytes.length; length++)
    yield { what: `cut off at ${length}`, bytes: bytes.slice(0, length) };
  for (let at = 0; at < bytes.length; at++) {
    for (const flip of FLIPS) {
      const changed = bytes.slice();
      changed[at]! ^= flip;
      yield { what: `byte ${at} changed by ${flip}`, bytes: changed };
    }
  }
}

const SMALL: readonly Words[] = [
  ['SET', 'string', 'some text some text some text some text'],
  ['SET', 'number', 12345],
  ['SET', 'later', 'x', 'PXAT', 9_000_000_000_000],
  ['RPUSH', 'list', 'a', 2, 'c'],
  ['SADD', 'integers', 1, 2, 70_000],
  ['SADD', 'set', 'x', 'y'],
  ['HSET', 'hash', 'f', 'v', 'g', 2],
  ['ZADD', 'zset', 1.5, 'a', 'inf', 'b'],
  ['XADD', 'stream', '5-1', 'f', 'v'],
  ['XGROUP', 'CREATE', 'stream', 'g', 0],
  ['XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', 'stream', '>'],
  ['SELECT', 3],
  ['SET', 'other', 'database'],
  ['SELECT', 0],
];

const request = (words: Words): string =>
  `*${words.length}\r\n${words.map((word) => `$${String(word).length}\r\n${word}\r\n`).join('')}`;

const AOF_COMMANDS: readonly Words[] = [
  ['SELECT', 0],
  ['SET', 'a', 'text'],
  ['RPUSH', 'list', 'x', 'yy'],
  ['MULTI'],
  ['INCR', 'n'],
  ['SADD', 's', 'm'],
  ['EXEC'],
  ['PEXPIREAT', 'a', 9_000_000_000_000],
  ['DEL', 'list'],
];
const INCREMENT = `#TS:1700000000\r\n${AOF_COMMANDS.map(request).join('')}`;
const MANIFEST = 'file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.2.incr.aof seq 2 type i\n';

/** Asks the original about some of the cases. */
async function ask(
  cases: readonly { what: string; files: Files; outcome: string }[],
  flags: readonly string[],
): Promise<void> {
  const program = requireReal('redis-server');
  if (program === null) return;
  const random = seededRandom('damaged files');
  for (let i = 0; i < ASKED; i++) {
    const one = cases[random.nextBelow(cases.length)]!;
    lastSaid = '';
    const theirs = await real(program, one.files, flags);
    expect(one.outcome, `${one.what}\n${lastSaid}`).toBe(theirs);
  }
}

describe('damaged files', { timeout: 60_000 * testScale }, () => {
  it('an RDB file is read in pieces of any size', () => {
    const ours = new Ours(false);
    ours.fill(everyEncoding(createRandom(3)).filter(([name]) => name !== 'FUNCTION'));
    for (const compress of [true, false]) {
      ours.server.core.config.rdbcompression = compress;
      const digest = dataDigest(ours.server.core);
      const file = ours.snapshot();
      const other = new Ours(false);
      for (const most of PIECES) {
        other.disk.readMost = most;
        expect(other.load({ 'dump.rdb': file }), `pieces of ${most}`).toBe(digest);
      }
    }
  });

  it('an RDB file that is cut off or changed anywhere is refused, as by the original', async () => {
    const ours = new Ours(false);
    ours.fill(SMALL);
    const digest = dataDigest(ours.server.core);
    const file = ours.snapshot();
    for (const db of ours.server.core.dbs) emptyDb(ours.server.core, db);
    expect(ours.load({ 'dump.rdb': file })).toBe(digest);
    const cases = [...damages(file)].map(({ what, bytes }) => {
      const files = { 'dump.rdb': bytes };
      return { what, files, outcome: ours.load(files) };
    });
    // The version's digits can be changed into another version that has no checksum; the data are right all the same.
    for (const { what, outcome } of cases) expect([REFUSED, digest], what).toContain(outcome);
    expect(cases.filter(({ outcome }) => outcome !== REFUSED).length).toBeLessThan(8);
    await ask(cases, []);
    await ask(
      cases.filter(({ outcome }) => outcome !== REFUSED),
      [],
    );
  });

  it('an RDB file without a checksum is refused or read as something whole', () => {
    const ours = new Ours(false);
    ours.fill(SMALL);
    ours.server.core.config.rdbchecksum = false;
    const file = ours.snapshot();
    for (const db of ours.server.core.dbs) emptyDb(ours.server.core, db);
    for (const { bytes } of damages(file)) ours.load({ 'dump.rdb': bytes });
  });

  it('an increment that is cut off is loaded up to its last whole unit, and one that is changed as the original does', async () => {
    const ours = new Ours(true);
    ours.fill([['SET', 'base', 'x']]);
    ours.server.core.config.appendonly = false;
    const base = ours.snapshot();
    ours.server.core.config.appendonly = true;
    for (const db of ours.server.core.dbs) emptyDb(ours.server.core, db);
    const files = (increment: Uint8Array, manifest = latin1(MANIFEST)): Files => ({
      'appendonlydir/appendonly.aof.1.base.rdb': base,
      'appendonlydir/appendonly.aof.2.incr.aof': increment,
      'appendonlydir/appendonly.aof.manifest': manifest,
    });
    const whole = latin1(INCREMENT);
    const cases: { what: string; files: Files; outcome: string }[] = [];
    for (const { what, bytes } of damages(whole)) {
      const outcome = ours.load(files(bytes));
      if (what.startsWith('cut')) expect(outcome, what).not.toBe(REFUSED);
      cases.push({ what: `increment ${what}`, files: files(bytes), outcome });
    }
    expect(new Set(cases.slice(0, whole.length).map(({ outcome }) => outcome)).size).toBe(5);
    // The original takes a lone '*' at the end for a request of no arguments and refuses to start; here it is cut off like the rest.
    // And it lets half a mark of time stand, behind which the next effect would be lost.
    const lone = (bytes: Uint8Array): boolean => bytes.at(-1) === 42 || bytes.length < INCREMENT.indexOf('*');
    const put = ({ files: one }: { files: Files }): boolean => !lone(one['appendonlydir/appendonly.aof.2.incr.aof']!);
    await ask(cases.filter(put), ['--appendonly', 'yes']);
    ours.server.core.config.aofLoadTruncated = false;
    const strict = [...damages(whole)].slice(0, whole.length).map(({ what, bytes }) => ({
      what: `increment ${what}, truncation not allowed`,
      files: files(bytes),
      outcome: ours.load(files(bytes)),
    }));
    await ask(strict.filter(put), ['--appendonly', 'yes', '--aof-load-truncated', 'no']);
    ours.server.core.config.aofLoadTruncated = true;
    const manifests = [...damages(latin1(MANIFEST))].map(({ what, bytes }) => ({
      what: `manifest ${what}: ${JSON.stringify(Buffer.from(bytes).toString('latin1'))}`,
      files: files(whole, bytes),
      outcome: ours.load(files(whole, bytes)),
    }));
    expect(manifests.every(({ outcome }) => outcome !== EMPTY)).toBe(true);
    await ask(manifests, ['--appendonly', 'yes']);
  });
});
