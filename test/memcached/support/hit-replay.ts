/** Replays a stream of keys on a server over one connection: gets, and a set after each miss. */
import net from 'node:net';
import type { Stream } from '../../support/traces.ts';

const NEWLINE = 10;
const KEY_DIGITS = 10;
/** A reply to a get begins with VALUE or END; a set's with STORED or an error. */
const LETTER_V = 'V'.charCodeAt(0);
const LETTER_E = 'E'.charCodeAt(0);
const LETTER_S = 'S'.charCodeAt(0);

export interface Replayed {
  readonly hitRatio: number;
  readonly notStored: number;
  readonly stats: Record<string, string>;
}

/** Names have one length, so that an item's size depends on its value only. */
const keyName = (key: number): string => `k:${String(key).padStart(KEY_DIGITS, '0')}`;

/** Counts replies as bytes arrive, without keeping values. */
export class Replies {
  #rest: Buffer = Buffer.alloc(0);
  #skip = 0;
  #isHit = false;
  /** One entry a reply of the batch under way: whether it was a hit, or stored. */
  readonly outcomes: boolean[] = [];

  take(data: Buffer): void {
    let at = 0;
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, data]) : data;
    this.#rest = Buffer.alloc(0);
    for (;;) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, bytes.length - at);
        at += skipped;
        this.#skip -= skipped;
      }
      const end = bytes.indexOf(NEWLINE, at);
      if (end < 0) break;
      if (bytes[at] === LETTER_V) {
        this.#isHit = true;
        this.#skip = Number(bytes.toString('latin1', bytes.lastIndexOf(32, end) + 1, end - 1)) + 2;
      } else if (bytes[at] === LETTER_E && bytes[at + 1] === 'N'.charCodeAt(0)) {
        this.outcomes.push(this.#isHit);
        this.#isHit = false;
      } else {
        this.outcomes.push(bytes[at] === LETTER_S && bytes[at + 1] === 'T'.charCodeAt(0));
      }
      at = end + 1;
    }
    if (at < bytes.length) this.#rest = Buffer.from(bytes.subarray(at));
  }
}

export interface ReplayOptions {
  /** Gets sent in one piece; the sets for those that missed follow in one piece. */
  readonly batch: number;
  /** Requests a second; as fast as the server answers where it is left out. */
  readonly rate?: number;
  /** Seconds until a key's item expires; never where it is left out. */
  readonly ttl?: (key: number) => number;
}

/** @param path of the server's Unix socket */
export async function replay(path: string, stream: Stream, options: ReplayOptions): Promise<Replayed> {
  const { batch, rate = 0, ttl = () => 0 } = options;
  const socket = net.connect({ path });
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  const replies = new Replies();
  let wake: () => void = () => {};
  let ended = false;
  socket.on('data', (data) => {
    replies.take(data);
    wake();
  });
  socket.on('close', () => {
    ended = true;
    wake();
  });
  const value = Buffer.alloc(stream.valueBytes.reduce((most, bytes) => Math.max(most, bytes), 0) + 2, 'x');
  const LINE_END = Buffer.from('\r\n');
  const ask = async (pieces: (string | Buffer)[], count: number): Promise<boolean[]> => {
    replies.outcomes.length = 0;
    socket.cork();
    for (const piece of pieces) socket.write(piece);
    socket.uncork();
    while (replies.outcomes.length < count) {
      if (ended) throw new Error('the server closed the connection');
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    return replies.outcomes.slice();
  };
  const { keys, valueBytes } = stream;
  let hits = 0;
  let notStored = 0;
  const startMs = performance.now();
  for (let from = 0; from < keys.length; from += batch) {
    const waitMs = rate === 0 ? 0 : startMs + (from * 1_000) / rate - performance.now();
    if (waitMs > 1) await new Promise((resolve) => setTimeout(resolve, waitMs));
    const some = keys.subarray(from, from + batch);
    let gets = '';
    for (const key of some) gets += `get ${keyName(key)}\r\n`;
    const found = await ask([gets], some.length);
    const missed = new Set<number>();
    for (let i = 0; i < some.length; i++) {
      if (found[i]) hits++;
      else missed.add(some[i]!);
    }
    if (missed.size === 0) continue;
    const sets: (string | Buffer)[] = [];
    for (const key of missed) {
      const bytes = valueBytes[key]!;
      sets.push(`set ${keyName(key)} 0 ${ttl(key)} ${bytes}\r\n`, value.subarray(0, bytes), LINE_END);
    }
    for (const stored of await ask(sets, missed.size)) if (!stored) notStored++;
  }
  socket.removeAllListeners('data');
  const stats = await readStats(socket);
  socket.destroy();
  return { hitRatio: hits / keys.length, notStored, stats };
}

export async function readStats(socket: net.Socket, what = ''): Promise<Record<string, string>> {
  let text = '';
  await new Promise<void>((resolve) => {
    socket.on('data', (data) => {
      text += data.toString('latin1');
      if (text.endsWith('END\r\n')) resolve();
    });
    socket.write(`stats${what === '' ? '' : ` ${what}`}\r\n`);
  });
  const stats: Record<string, string> = {};
  for (const [, name, figure] of text.matchAll(/STAT (\S+) ?(.*)\r\n/g)) stats[name!] = figure!;
  return stats;
}
