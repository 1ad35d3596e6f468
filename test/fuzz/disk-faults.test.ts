/**
 * Disks that fail at random calls (full, broken, read-only, short writes, syncs and renames that fail) under a server without sockets,
 * which then dies or loses its power: what it has acknowledged is there afterwards as the policy promises, and it always starts.
 */
import { expect, it } from 'vitest';
import { createRandom } from '../../engines/base/random.ts';
import type { FileHandle, Random } from '../../engines/ports.ts';
import type { FileSyncer } from '../../engines/redis/persistence/aof-sync.ts';
import { saveRdbFile } from '../../engines/redis/persistence/rdb-save.ts';
import type { SnapshotEnd, SnapshotJob, Snapshots } from '../../engines/redis/persistence/snapshots.ts';
import { Loopback } from '../redis/support/loopback.ts';
import { type DiskCall, type Fault, MemoryDisk } from '../support/memory-disk.ts';
import { encodeCommand, parseReply, RespError, type RespValue } from '../support/resp-client.ts';
import { announceSeed, testScale } from '../support/seed.ts';

const SERVERS = 40 * testScale;
const LIVES = 4;
const STEPS = 60;
const ARENA_BYTES = 16 * 1024 * 1024;
const CODES = ['ENOSPC', 'EIO', 'EACCES', 'EROFS'] as const;
const CALLS: readonly DiskCall[] = [
  'open',
  'write',
  'sync',
  'truncate',
  'rename',
  'remove',
  'syncFolder',
  'makeFolder',
];
const POLICIES = ['always', 'everysec', 'no'] as const;
type Policy = (typeof POLICIES)[number];
/** What has been acknowledged for so long, and for so many turns, is on disk under `everysec` unless an error is told. */
const SAFE_AFTER_MS = 4_000;
const SAFE_AFTER_TURNS = 12;

/** Writes snapshots at once, and tells of their end some calls later. */
class LateSnapshots implements Snapshots {
  private readonly server: Loopback;
  private readonly disk: MemoryDisk;
  private readonly random: Random;
  private end: SnapshotEnd | null = null;
  private wait = 0;
  running = false;
  keysSaved = 0;
  readonly copiedBytes = 0;

  constructor(server: Loopback, disk: MemoryDisk, random: Random) {
    this.server = server;
    this.disk = disk;
    this.random = random;
  }
  start({ plan, folder, name, temporary }: SnapshotJob): number {
    if (this.random.nextBelow(10) === 0) return -1;
    let error = '';
    try {
      saveRdbFile({ ...plan, heap: this.server.core.heap }, this.disk, folder, name, temporary);
    } catch (failure) {
      error = (failure as Error).message;
    }
    this.end = { error, fileBytes: 0, copiedBytes: 0 };
    this.wait = this.random.nextBelow(4);
    this.running = true;
    return 1;
  }
  prepare(): boolean {
    return !this.running;
  }
  takeEnd(): SnapshotEnd | null {
    if (this.end === null || this.wait-- > 0) return null;
    const { end } = this;
    this.end = null;
    this.running = false;
    return end;
  }
  abort(): void {}
  tidy(): boolean {
    return false;
  }
}

/** Syncs some turns later. */
class LateSyncer implements FileSyncer {
  private readonly disk: MemoryDisk;
  private file: FileHandle | null = null;
  private turns = 0;
  error = '';
  constructor(disk: MemoryDisk) {
    this.disk = disk;
  }
  get busy(): boolean {
    if (this.turns-- <= 0) this.wait();
    return this.file !== null;
  }
  sync(file: FileHandle): void {
    expect(this.file, 'one at a time').toBeNull();
    this.file = file;
    this.turns = 3;
  }
  wait(): void {
    const { file } = this;
    this.file = null;
    if (file === null) return;
    this.error = '';
    try {
      this.disk.sync(file);
    } catch (failure) {
      this.error = (failure as Error).message;
    }
  }
}

class Died extends Error {}

/** One run of the server on a disk. */
class Life {
  readonly server: Loopback;
  readonly disk: MemoryDisk;
  policy: Policy;
  /** Units in memory. */
  count = 0;
  /** Those that a kill leaves: they have been written. */
  written = 0;
  /** Those that a cut of the power leaves. */
  safe = 0;
  /** What had been written at the ends of turns since the last error. */
  private past: { readonly written: number; readonly atMs: number }[] = [];
  dead = false;

  constructor(disk: MemoryDisk, random: Random, policy: Policy, nowMs: number) {
    this.disk = disk;
    this.policy = policy;
    this.server = new Loopback(
      ARENA_BYTES,
      (config) => {
        config.appendonly = true;
        config.appendfsync = policy;
        config.save = [];
        config.autoAofRewriteMinSize = 2_000;
        config.autoAofRewritePercentage = random.nextBelow(2) * 50;
        config.aofTimestampEnabled = random.nextBelow(2) === 0;
      },
      1,
      'debian',
      disk,
    );
    this.server.nowMs = nowMs;
    const { persistence } = this.server.core;
    this.server.core.refreshTime();
    if (random.nextBelow(4) !== 0) persistence.snapshots = new LateSnapshots(this.server, disk, random);
    persistence.aof.sync.syncer = random.nextBelow(2) === 0 ? new LateSyncer(disk) : null;
    persistence.aof.sync.fatal = (text) => {
      this.dead = true;
      throw new Died(text);
    };
  }

  start(): void {
    this.server.core.persistence.loadAtStart();
    this.server.open(0);
    this.count = this.look();
    this.written = this.count;
  }

  /** Units that are there: each whole, none missing before another. */
  look(): number {
    const log = this.server.command(0, 'LRANGE', 'log', 0, -1) as string[];
    expect(log).toEqual(log.map((_, i) => String(i)));
    expect(this.server.command(0, 'GET', 'count')).toBe(log.length === 0 ? null : String(log.length));
    return log.length;
  }

  /** Sends one unit. */
  unit(): void {
    const words = [
      ['MULTI'],
      ['RPUSH', 'log', this.count],
      ['INCR', 'count'],
      ['SET', `k${this.count % 7}`, 'x'.repeat(50)],
      ['EXEC'],
    ];
    const replies = this.send(words);
    const last = replies.at(-1)!;
    if (last instanceof RespError) {
      expect(last.message).toMatch(/^EXECABORT|^MISCONF Errors writing to the AOF file: [A-Z]/);
      return;
    }
    this.count++;
    this.noteWritten();
  }

  private noteWritten(): void {
    const { aof } = this.server.core.persistence;
    if (aof.state !== 'on' || aof.length > 0) return;
    this.written = this.count;
    if (this.policy === 'always') this.safe = this.count;
  }

  /** Time goes on, and turns without requests. */
  private pass(random: Random): void {
    const { server } = this;
    server.nowMs += random.nextBelow(1_500);
    server.core.cron();
    server.core.onTurn();
    this.noteWritten();
    const { aof } = server.core.persistence;
    if (this.policy !== 'everysec' || aof.state !== 'on' || aof.writeError !== '') {
      this.past = [];
      return;
    }
    this.past.push({ written: this.written, atMs: server.nowMs });
    const long = this.past.slice(0, -SAFE_AFTER_TURNS).findLast(({ atMs }) => server.nowMs - atMs > SAFE_AFTER_MS);
    if (long !== undefined) this.safe = Math.max(this.safe, long.written);
  }

  /** CONFIG SET appendfsync. */
  private setPolicy(policy: Policy): void {
    this.policy = policy;
    this.server.core.config.appendfsync = policy;
    this.past = [];
    // Its reply leaves when the new policy holds.
    this.server.core.onTurn();
  }

  /** CONFIG SET appendonly: while it is off, and until there is a base again, nothing more is promised. */
  private switchOver(): void {
    const { config, persistence } = this.server.core;
    const on = persistence.aof.state === 'off';
    config.appendonly = on;
    if (!persistence.setAppendOnly(on)) config.appendonly = !on;
    this.past = [];
  }

  /** @throws Died when the server has ended: nobody got a reply then */
  send(words: readonly (readonly (string | number)[])[]): RespValue[] {
    this.server.feed(0, Buffer.concat(words.map((one) => encodeCommand(one))));
    const bytes = this.server.take(0);
    if (this.dead) throw new Died('the server has ended');
    const replies: RespValue[] = [];
    for (let at = 0; at < bytes.length; ) {
      const one = parseReply(bytes, at)!;
      replies.push(one.value);
      at = one.next;
    }
    return replies;
  }

  step(random: Random): void {
    const dice = random.nextBelow(40);
    if (dice < 2) this.send([['BGREWRITEAOF']]);
    else if (dice < 4) this.send([[random.nextBelow(2) === 0 ? 'BGSAVE' : 'SAVE']]);
    else if (dice === 4) this.setPolicy(POLICIES[random.nextBelow(POLICIES.length)]!);
    else if (dice === 5) this.switchOver();
    else if (dice < 20) this.pass(random);
    else this.unit();
    this.noteWritten();
  }
}

/** A bad time: some calls fail, more or less often. */
function badTimes(random: Random): Fault {
  const calls = CALLS.filter(() => random.nextBelow(3) === 0);
  const oneIn = 1 + random.nextBelow(5);
  const code = CODES[random.nextBelow(CODES.length)]!;
  return (call) => {
    if (call === 'write' && random.nextBelow(3) === 0) return 'short';
    return calls.includes(call) && random.nextBelow(oneIn) === 0 ? code : null;
  };
}

function live(life: Life, random: Random): void {
  const { disk } = life;
  try {
    for (let i = 0; i < STEPS; i++) {
      if (random.nextBelow(15) === 0) disk.fault = random.nextBelow(2) === 0 ? badTimes(random) : () => null;
      life.step(random);
    }
  } catch (error) {
    if (!life.dead) throw error;
  }
}

it(`${SERVERS} servers keep what they have acknowledged on disks that fail`, { timeout: 60_000 * testScale }, () => {
  const first = announceSeed('faults of disks');
  let faults = 0;
  let deaths = 0;
  let refusedStarts = 0;
  let units = 0;
  for (let i = 0; i < SERVERS; i++) {
    // Each has numbers of its own: TEST_SEED counted up to a server that fails makes it the first one.
    const random = createRandom(first + i);
    const policy = POLICIES[random.nextBelow(POLICIES.length)]!;
    let disk = new MemoryDisk();
    let nowMs = 1_700_000_000_000;
    let owed = 0;
    let most = 0;
    const at = () => `TEST_SEED=${first + i}, appendfsync ${policy}\n${disk.names().join('\n')}`;
    for (let turn = 0; turn < LIVES; turn++) {
      if (random.nextBelow(4) === 0) {
        // A start on a failing disk may be refused, but must not make things worse.
        disk.fault = badTimes(random);
        try {
          new Life(disk, random, policy, nowMs).start();
        } catch {
          refusedStarts++;
        }
        faults += disk.faults;
        disk = disk.afterKill();
      }
      const life = new Life(disk, random, policy, nowMs);
      try {
        life.start();
      } catch (error) {
        throw new Error(`It does not start again: ${at()}`, { cause: error });
      }
      expect(life.count, at()).toBeGreaterThanOrEqual(owed);
      expect(life.count, at()).toBeLessThanOrEqual(most);
      live(life, random);
      units += life.count;
      faults += disk.faults;
      if (life.dead) deaths++;
      nowMs = life.server.nowMs + 10;
      most = life.count + 1;
      if (random.nextBelow(2) === 0) {
        owed = life.written;
        disk = disk.afterKill();
      } else {
        owed = life.safe;
        disk = disk.afterPowerCut();
      }
    }
  }
  console.log(
    `${SERVERS * LIVES} lives: ${units} units, ${faults} faults, ${deaths} ends by faults, ${refusedStarts} starts refused`,
  );
  expect(faults).toBeGreaterThan(SERVERS);
});
