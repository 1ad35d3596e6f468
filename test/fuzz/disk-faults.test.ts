/**
 * Disks that fail at random calls (full, broken, read-only, short writes, syncs and renames that fail) under a server without sockets,
 * which then dies or loses its power: what it has acknowledged is there afterwards as the policy promises, and it always starts.
 */
import { expect, it } from 'vitest';
import { createRandom } from '../../engines/base/random.ts';
import type { FileHandle, Random } from '../../engines/ports.ts';
import type { FileSyncer } from '../../engines/redis/persistence/aof.ts';
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

/** Syncs some turns later, in the order in which files are given. */
class LateSyncer implements FileSyncer {
  private readonly disk: MemoryDisk;
  private jobs: { readonly file: FileHandle; readonly closes: boolean }[] = [];
  private turns = 0;
  error = '';
  /** A file was closed without having been synced. */
  closedUnsynced = false;
  constructor(disk: MemoryDisk) {
    this.disk = disk;
  }
  get busy(): boolean {
    if (this.turns-- <= 0) this.wait();
    return this.jobs.some(({ closes }) => !closes);
  }
  sync(file: FileHandle): void {
    this.give(file, false);
  }
  syncAndClose(file: FileHandle): void {
    this.give(file, true);
  }
  private give(file: FileHandle, closes: boolean): void {
    this.jobs.push({ file, closes });
    this.turns = 3;
  }
  wait(): void {
    for (const { file, closes } of this.jobs.splice(0)) {
      this.error = '';
      try {
        this.disk.sync(file);
      } catch (failure) {
        this.error = (failure as Error).message;
        if (closes) this.closedUnsynced = true;
      }
      if (closes) this.disk.close(file);
    }
  }
}

class Died extends Error {}

/** One run of the server on a disk. */
class Life {
  readonly server: Loopback;
  readonly disk: MemoryDisk;
  readonly policy: (typeof POLICIES)[number];
  /** Units that were acknowledged, and those of them that had been written when a turn ended. */
  acknowledged = 0;
  written = 0;
  /** Units in memory. */
  count = 0;
  dead = false;
  private readonly syncer: LateSyncer | null;

  constructor(disk: MemoryDisk, random: Random, policy: (typeof POLICIES)[number], nowMs: number) {
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
    this.syncer = random.nextBelow(2) === 0 ? new LateSyncer(disk) : null;
    persistence.aof.syncer = this.syncer;
    persistence.aof.fatal = (text) => {
      this.dead = true;
      throw new Died(text);
    };
  }

  /** Without power the end of one part may be gone and a later part be there: as in the original no closed file is synced again. */
  get mayHaveHole(): boolean {
    return this.syncer?.closedUnsynced ?? false;
  }

  start(): void {
    this.server.core.persistence.loadAtStart();
    this.server.open(0);
    this.count = this.look();
    this.acknowledged = this.count;
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
    this.acknowledged++;
    if (this.server.core.persistence.aof.length === 0) this.written = this.acknowledged;
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
    const dice = random.nextBelow(20);
    if (dice === 0) this.send([['BGREWRITEAOF']]);
    else if (dice === 1) this.send([[random.nextBelow(2) === 0 ? 'BGSAVE' : 'SAVE']]);
    else if (dice < 8) {
      this.server.nowMs += random.nextBelow(1_500);
      this.server.core.cron();
      this.server.core.onTurn();
      if (this.server.core.persistence.aof.length === 0) this.written = this.acknowledged;
    } else this.unit();
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
      if (random.nextBelow(2) === 0 || life.mayHaveHole) {
        owed = policy === 'always' ? life.acknowledged : life.written;
        disk = disk.afterKill();
      } else {
        owed = policy === 'always' ? life.acknowledged : 0;
        disk = disk.afterPowerCut();
      }
    }
  }
  console.log(
    `${SERVERS * LIVES} lives: ${units} units, ${faults} faults, ${deaths} ends by faults, ${refusedStarts} starts refused`,
  );
  expect(faults).toBeGreaterThan(SERVERS);
});
