/** SORT and SORT_RO, as far as they concern strings: a key that is missing has nothing to sort, any other is of the wrong type. */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { deleteKey, lookupKeyRead } from '../db.ts';
import { addReplyArrayLen, addReplyError, addReplyLong, SYNTAX_ERROR, WRONG_TYPE } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { readInteger } from './integer-arguments.ts';

/** Options that take values, and how many. */
const OPTION_VALUES: readonly (readonly [name: string, values: number])[] = [
  ['asc', 0],
  ['desc', 0],
  ['alpha', 0],
  ['limit', 2],
  ['by', 1],
  ['get', 1],
];

/** @returns the argument of STORE, 0 without it, or -1 after an error reply */
function readOptions(core: RedisCore, c: Client, readOnly: boolean): number {
  let destination = 0;
  for (let i = 2; i < c.argc; i++) {
    if (!readOnly && c.argIs(i, 'store') && i + 1 < c.argc) {
      destination = ++i;
      continue;
    }
    const option = OPTION_VALUES.find(([name, values]) => c.argIs(i, name) && i + values < c.argc);
    if (option === undefined) {
      addReplyError(c, SYNTAX_ERROR);
      return -1;
    }
    const [name, values] = option;
    if (name === 'limit' && !(readInteger(core, c, i + 1) && readInteger(core, c, i + 2))) return -1;
    i += values;
  }
  return destination;
}

function sortGeneric(core: RedisCore, c: Client, readOnly: boolean): void {
  const destination = readOptions(core, c, readOnly);
  if (destination < 0) return;
  if (lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]) !== 0) {
    addReplyError(c, WRONG_TYPE);
    return;
  }
  if (destination === 0) {
    addReplyArrayLen(c, 0);
    return;
  }
  // An empty result is stored as no key at all.
  deleteKey(core, c.db, c.argOff[destination], c.argLen[destination]);
  addReplyLong(c, 0);
}

/** By full name. */
export const sortProcs: Readonly<Record<string, CommandProc>> = {
  sort: (core, c) => sortGeneric(core, c, false),
  sort_ro: (core, c) => sortGeneric(core, c, true),
};
