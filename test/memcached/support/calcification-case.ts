/**
 * Slab calcification: memory is filled with small items, then another load of larger ones comes. How fast do the pages follow? The case is
 * the one that was measured on the real server (the same keys, sizes and order), and shorter forms of it.
 */
import { existsSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { InProcess, parseStats } from '../in-process.ts';
import { Replies, readStats } from './hit-replay.ts';
import { Zipf } from './zipf-by-search.ts';

const GET_BATCH = 100;
const FILL_BATCH = 500;
const FILL_BYTES = 150;
const TICK_MS = 100;
const TICKS_PER_SECOND = 1_000 / TICK_MS;
const SKEW = 0.99;
const SIZE_MIN = 1_000;
const SIZE_SPAN = 3_001;
const SEED = 2_024;
/** The maintainer gets this long after the small items, before the others come. */
const SETTLE_MS = 1_500;
const KEY_DIGITS = 12;
/** Slices of background work that a millisecond has time for. */
const SLICES_PER_MS = 16;

export interface CalcificationCase {
  readonly automove: 0 | 1 | 2;
  /** -m. */
  readonly megabytes: number;
  /** Small items stored first. */
  readonly fill: number;
  /** Larger objects, asked for by a Zipf law. */
  readonly objects: number;
  readonly getsPerSecond: number;
  readonly seconds: number;
  readonly windowSeconds: number;
  /** Further options for -o. */
  readonly options?: string;
}

/** What was measured: 150 s. */
export function fullCase(automove: 0 | 1 | 2): CalcificationCase {
  return {
    automove,
    megabytes: 64,
    fill: 320_000,
    objects: 40_000,
    getsPerSecond: 5_000,
    seconds: 150,
    windowSeconds: 5,
  };
}

export interface CalcificationWindow {
  readonly hitRatio: number;
  /** Since the start. */
  readonly slabsMoved: number;
  /** By class. */
  readonly pages: Readonly<Record<string, number>>;
}

export interface Course {
  readonly windows: readonly CalcificationWindow[];
  readonly hitRatio: number;
  readonly setFailures: number;
}

/** The course that was measured, or null where the data are not laid beside the project. */
export function measuredCourse(automove: number): Course | null {
  const path = new URL(`../../../../shared/data/memcached-calcification/automove${automove}.json`, import.meta.url);
  if (!existsSync(path)) return null;
  const { windows, total } = JSON.parse(readFileSync(path, 'utf8'));
  return {
    windows: windows.map((window: { hit_ratio: number; slabs_moved: number; pages: Record<string, number> }) => ({
      hitRatio: window.hit_ratio,
      slabsMoved: window.slabs_moved,
      pages: window.pages,
    })),
    hitRatio: total.hit_ratio,
    setFailures: total.set_failures,
  };
}

/** A server that the case is played on. */
interface Player {
  /** Sends commands in one piece. @returns an outcome for each: a hit, or stored */
  ask(pieces: Buffer[], count: number): Promise<readonly boolean[]>;
  stats(what: string): Promise<Record<string, string>>;
  /** Waits until so many ms after the start. */
  until(ms: number): Promise<void>;
}

const key = (kind: string, number: number): string => `${kind}:${String(number).padStart(KEY_DIGITS, '0')}`;
const LINE_END = Buffer.from('\r\n');

async function play(one: CalcificationCase, player: Player): Promise<Course> {
  const small = Buffer.from(`${'x'.repeat(FILL_BYTES)}\r\n`);
  for (let from = 0; from < one.fill; from += FILL_BATCH) {
    const pieces: Buffer[] = [];
    for (let i = from; i < from + FILL_BATCH; i++) {
      pieces.push(Buffer.from(`set ${key('key', i)} 0 0 ${FILL_BYTES}\r\n`), small);
    }
    await player.ask(pieces, FILL_BATCH);
  }
  await player.until(SETTLE_MS);
  const zipf = new Zipf(one.objects, SKEW, SEED);
  const value = Buffer.alloc(SIZE_MIN + SIZE_SPAN, 'y');
  const sizes = Uint16Array.from(
    { length: one.objects + 1 },
    (_, rank) => SIZE_MIN + Number(mix(BigInt(rank)) % BigInt(SIZE_SPAN)),
  );
  const perTick = one.getsPerSecond / TICKS_PER_SECOND;
  const windows: CalcificationWindow[] = [];
  const inAll = { gets: 0, hits: 0, failures: 0 };
  const inWindow = { gets: 0, hits: 0 };
  for (let tick = 1; tick <= one.seconds * TICKS_PER_SECOND; tick++) {
    await player.until(SETTLE_MS + (tick - 1) * TICK_MS);
    const ranks = Array.from({ length: perTick }, () => zipf.next());
    const missed = new Set<number>();
    for (let from = 0; from < perTick; from += GET_BATCH) {
      const some = ranks.slice(from, from + GET_BATCH);
      const found = await player.ask(
        some.map((rank) => Buffer.from(`get ${key('big', rank)}\r\n`)),
        some.length,
      );
      some.forEach((rank, i) => {
        if (found[i]) inWindow.hits++;
        else missed.add(rank);
      });
      inWindow.gets += some.length;
    }
    const ranksMissed = [...missed];
    for (let from = 0; from < ranksMissed.length; from += GET_BATCH) {
      const some = ranksMissed.slice(from, from + GET_BATCH);
      const pieces = some.flatMap((rank) => [
        Buffer.from(`set ${key('big', rank)} 0 0 ${sizes[rank]}\r\n`),
        value.subarray(0, sizes[rank]),
        LINE_END,
      ]);
      for (const stored of await player.ask(pieces, some.length)) if (!stored) inAll.failures++;
    }
    if (tick % (one.windowSeconds * TICKS_PER_SECOND) !== 0) continue;
    windows.push({
      hitRatio: inWindow.hits / inWindow.gets,
      slabsMoved: Number((await player.stats(''))['slabs_moved']),
      pages: pagesOf(await player.stats('slabs')),
    });
    inAll.gets += inWindow.gets;
    inAll.hits += inWindow.hits;
    inWindow.gets = 0;
    inWindow.hits = 0;
  }
  return { windows, hitRatio: inAll.hits / inAll.gets, setFailures: inAll.failures };
}

function pagesOf(stats: Record<string, string>): Record<string, number> {
  const pages: Record<string, number> = {};
  for (const [name, value] of Object.entries(stats)) {
    const id = /^(\d+):total_pages$/.exec(name)?.[1];
    if (id !== undefined) pages[id] = Number(value);
  }
  return pages;
}

/** SplitMix64's finish: what spreads the sizes over the ranks. */
function mix(rank: bigint): bigint {
  let z = rank ^ (rank >> 30n);
  z = (z * 0xbf58476d1ce4e5b9n) & 0xffffffffffffffffn;
  z ^= z >> 27n;
  z = (z * 0x94d049bb133111ebn) & 0xffffffffffffffffn;
  return z ^ (z >> 31n);
}

/** Plays the case in real time on a server that listens on a Unix socket. */
export async function playOnSocket(one: CalcificationCase, path: string): Promise<Course> {
  const socket = net.connect({ path });
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  const replies = new Replies();
  let wake: () => void = () => {};
  let ended = false;
  const onData = (data: Buffer): void => {
    replies.take(data);
    wake();
  };
  socket.on('data', onData);
  socket.on('close', () => {
    ended = true;
    wake();
  });
  let startMs = 0;
  const player: Player = {
    async ask(pieces, count) {
      replies.outcomes.length = 0;
      socket.write(Buffer.concat(pieces));
      while (replies.outcomes.length < count) {
        if (ended) throw new Error('the server closed the connection');
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return replies.outcomes;
    },
    async stats(what) {
      socket.off('data', onData);
      const stats = await readStats(socket, what);
      socket.removeAllListeners('data');
      socket.on('data', onData);
      return stats;
    },
    async until(ms) {
      if (startMs === 0) startMs = Date.now();
      const waitMs = startMs + ms - Date.now();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    },
  };
  try {
    return await play(one, player);
  } finally {
    socket.destroy();
  }
}

/** Plays the case in virtual time on a core without sockets: the same course each time. */
export async function playInVirtualTime(one: CalcificationCase): Promise<Course> {
  const server = new InProcess({ maxBytes: one.megabytes * 1024 * 1024, slabAutomove: one.automove });
  const conn = server.open();
  const replies = new Replies();
  const startMs = server.clock.ms;
  /** Background work goes on while a ms passes. */
  const passMs = (): void => {
    server.clock.ms++;
    if ((server.clock.ms - startMs) % 1_000 === 0) server.core.tick();
    for (let slices = SLICES_PER_MS; slices > 0 && server.core.maintain() < 1; slices--) {
      // What wants to go on at once does.
    }
  };
  let playMs = 0;
  const player: Player = {
    async ask(pieces, count) {
      replies.outcomes.length = 0;
      server.feed(conn, Buffer.concat(pieces));
      replies.take(server.take(conn));
      if (replies.outcomes.length !== count) throw new Error(`${replies.outcomes.length} replies to ${count} commands`);
      passMs();
      return replies.outcomes;
    },
    async stats(what) {
      return parseStats(server.send(conn, what === '' ? 'stats\r\n' : `stats ${what}\r\n`));
    },
    async until(ms) {
      if (playMs === 0) playMs = server.clock.ms;
      while (server.clock.ms < playMs + ms) passMs();
    },
  };
  const course = await play(one, player);
  server.core.verify();
  return course;
}

/** Pages by which two courses differ at their ends, in the class where they differ most. */
export function pagesApart(a: Course, b: Course): number {
  const ends = [a.windows.at(-1)!.pages, b.windows.at(-1)!.pages] as const;
  const ids = new Set(ends.flatMap((pages) => Object.keys(pages)));
  return Math.max(...[...ids].map((id) => Math.abs((ends[0][id] ?? 0) - (ends[1][id] ?? 0))));
}

/** Hit ratio by which a course's windows lie apart from another's, at most. */
export function windowsApart(a: Course, b: Course): number {
  return Math.max(...a.windows.map((window, i) => Math.abs(window.hitRatio - b.windows[i]!.hitRatio)));
}

/**
 * Hit ratio by which a course's windows lie outside of what other runs had then or a window earlier or later: with `slab_automove` 2 the moment
 * when the small items' class has given its last page but one, after which more pages go round in circles, differs by some seconds from run
 * to run, on the real server too.
 */
export function windowsOutside(a: Course, others: readonly Course[]): number {
  return Math.max(
    ...a.windows.map(({ hitRatio }, i) => {
      const near = others.flatMap(({ windows }) => windows.slice(Math.max(0, i - 1), i + 2)).map((one) => one.hitRatio);
      return Math.max(0, hitRatio - Math.max(...near), Math.min(...near) - hitRatio);
    }),
  );
}

export function describeCourse(course: Course): string {
  const last = course.windows.at(-1)!;
  const percent = (ratio: number): string => (ratio * 100).toFixed(1);
  return `hit ratio ${(course.hitRatio * 100).toFixed(2)} %, ${last.slabsMoved} pages moved, at the end ${JSON.stringify(last.pages)}; windows ${course.windows.map((window) => percent(window.hitRatio)).join(' ')}`;
}
