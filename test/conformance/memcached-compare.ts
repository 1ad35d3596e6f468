/** How the output of the Memcached-like core is compared with the real server's. */
import { expect } from 'vitest';
import { type InProcess, parseStats } from '../memcached/in-process.ts';
import type { RawConnection } from '../memcached/real-memcached.ts';

/** Both servers' clocks advance in whole seconds, but not at the same moment. */
const SECONDS_APART = 8;
/** Seconds in replies to meta commands: time to live, time since the last access. */
const SECONDS = /( [tl]|exp=-?|la=)(\d+)/g;

/** Where two outputs part, with what stands around it. */
export function firstDifference(mine: Buffer, real: Buffer): string | null {
  if (mine.equals(real)) return null;
  let at = 0;
  while (at < mine.length && at < real.length && mine[at] === real[at]) at++;
  const show = (bytes: Buffer): string => JSON.stringify(bytes.toString('latin1', Math.max(0, at - 120), at + 200));
  return `at byte ${at}\n real ${show(real)}\n mine ${show(mine)}`;
}

/** The same, but numbers of seconds may be off by as much as the clocks are. */
export function firstDifferenceButSeconds(mine: Buffer, real: Buffer): string | null {
  if (mine.equals(real)) return null;
  const texts = [mine, real].map((bytes) => bytes.toString('latin1'));
  const [mySeconds, theirSeconds] = texts.map((text) => [...text.matchAll(SECONDS)].map((match) => Number(match[2])));
  const [mineBut, realBut] = texts.map((text) => Buffer.from(text.replace(SECONDS, '$1#'), 'latin1'));
  const difference = firstDifference(mineBut!, realBut!);
  if (difference !== null) return difference;
  const isFar = mySeconds!.some((seconds, i) => Math.abs(seconds - theirSeconds![i]!) > SECONDS_APART);
  return isFar ? firstDifference(mine, real) : null;
}

const COMPARED_STATS =
  /^(cmd_|get_|delete_|incr_|decr_|cas_|touch_|store_|bytes$|curr_items|total_items|evictions|reclaimed|hash_)/;

/** Compares `stats slabs` and the counters of `stats`. */
export async function compareStats(server: InProcess, conn: number, socket: RawConnection): Promise<void> {
  for (const name of ['stats slabs', 'stats']) {
    const mine = parseStats(server.send(conn, `${name}\r\n`));
    const theirs = parseStats((await socket.ask(`${name}\r\n`, Buffer.from('END\r\n'))).toString('latin1'));
    expect(Object.keys(mine)).toEqual(Object.keys(theirs));
    for (const [key, value] of Object.entries(theirs)) {
      if (name === 'stats' && !COMPARED_STATS.test(key)) continue;
      expect([key, mine[key]]).toEqual([key, value]);
    }
  }
}
