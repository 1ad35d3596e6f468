/** The geo commands on single members. Places are the scores of a sorted set; searching them is in geo-search.ts. */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { lookupKeyRead } from '../db.ts';
import { distanceBetween } from '../geo/area.ts';
import { decodeScore, geohashText, placeLatitude, placeLongitude, placeScore } from '../geo/geohash.ts';
import {
  addReplyArrayLen,
  addReplyBulkString,
  addReplyError,
  addReplyNull,
  addReplyNullArray,
  SYNTAX_ERROR,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { OBJ_ZSET } from '../structures/robj.ts';
import { foundScore, ZADD_NX, ZADD_XX, zsetScore } from '../types/zset-object.ts';
import {
  addReplyCoordinate,
  addReplyDistance,
  argLatitude,
  argLongitude,
  readPlace,
  readUnit,
} from './geo-arguments.ts';
import { geoSearchProcs } from './geo-search.ts';
import { isWrongType } from './integer-arguments.ts';
import { addComputed } from './sorted-set.ts';
import { zsetOrReply } from './sorted-set-arguments.ts';

/** The score of the place in arguments `i` and `i + 1`; NaN after an error. */
function scoreOfPlace(core: RedisCore, c: Client, i: number): number {
  return readPlace(core, c, i) ? placeScore(argLongitude, argLatitude) : Number.NaN;
}

function geoaddCommand(core: RedisCore, c: Client): void {
  let flags = 0;
  let changes = false;
  let first = 2;
  for (; first < c.argc; first++) {
    if (c.argIs(first, 'nx')) flags |= ZADD_NX;
    else if (c.argIs(first, 'xx')) flags |= ZADD_XX;
    else if (c.argIs(first, 'ch')) changes = true;
    else break;
  }
  const places = (c.argc - first) / 3;
  if (places === 0 || !Number.isInteger(places) || flags === (ZADD_NX | ZADD_XX)) addReplyError(c, SYNTAX_ERROR);
  else {
    const before = core.dirty;
    addComputed(core, c, first, 3, flags, changes, scoreOfPlace);
    if (core.effects.active && core.dirty !== before) effectOfAdd(core, c, first, places);
  }
}

/** What GEOADD comes to: the scores, so that nobody has to compute them again. */
function effectOfAdd(core: RedisCore, c: Client, first: number, places: number): void {
  const { effects } = core;
  effects.begin(c.db, first + 2 * places);
  effects.text('zadd');
  for (let i = 1; i < first; i++) effects.argOf(c, i);
  for (let i = first; i < c.argc; i += 3) {
    effects.text(String(scoreOfPlace(core, c, i)));
    effects.argOf(c, i + 2);
  }
}

function geohashCommand(core: RedisCore, c: Client): void {
  const o = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, o, OBJ_ZSET)) return;
  addReplyArrayLen(c, c.argc - 2);
  for (let i = 2; i < c.argc; i++) {
    if (o !== 0 && zsetScore(core.heap, o, c.argOff[i], c.argLen[i])) addReplyBulkString(c, geohashText(foundScore));
    else addReplyNull(c);
  }
}

function geoposCommand(core: RedisCore, c: Client): void {
  const o = lookupKeyRead(core, c.db, c.argOff[1], c.argLen[1]);
  if (isWrongType(core, c, o, OBJ_ZSET)) return;
  addReplyArrayLen(c, c.argc - 2);
  for (let i = 2; i < c.argc; i++) {
    if (o === 0 || !zsetScore(core.heap, o, c.argOff[i], c.argLen[i])) {
      addReplyNullArray(c);
      continue;
    }
    decodeScore(foundScore);
    addReplyArrayLen(c, 2);
    addReplyCoordinate(c, placeLongitude);
    addReplyCoordinate(c, placeLatitude);
  }
}

function geodistCommand(core: RedisCore, c: Client): void {
  const h = core.heap;
  if (c.argc > 5) {
    addReplyError(c, SYNTAX_ERROR);
    return;
  }
  const unit = c.argc === 5 ? readUnit(c, 4) : 1;
  const o = unit === 0 ? 0 : zsetOrReply(core, c, false, addReplyNull);
  if (o === 0) return;
  if (!zsetScore(h, o, c.argOff[2], c.argLen[2])) {
    addReplyNull(c);
    return;
  }
  const from = foundScore;
  if (!zsetScore(h, o, c.argOff[3], c.argLen[3])) {
    addReplyNull(c);
    return;
  }
  decodeScore(from);
  const longitude = placeLongitude;
  const latitude = placeLatitude;
  decodeScore(foundScore);
  addReplyDistance(c, distanceBetween(longitude, latitude, placeLongitude, placeLatitude) / unit);
}

/** The procedures, by full name. */
export const geoProcs: Readonly<Record<string, CommandProc>> = {
  ...geoSearchProcs,
  geoadd: geoaddCommand,
  geodist: geodistCommand,
  geohash: geohashCommand,
  geopos: geoposCommand,
};
