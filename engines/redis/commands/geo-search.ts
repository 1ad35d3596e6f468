/** The geo commands that find the members in a circle or box, to reply or store them. */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { deleteKey, foundEntry, lookupKeyRead, lookupKeyWrite, NOTIFY_ZSET, setKey } from '../db.ts';
import { Area } from '../geo/area.ts';
import { decodeScore, placeLatitude, placeLongitude } from '../geo/geohash.ts';
import {
  addReplyArrayLen,
  addReplyBigInt,
  addReplyBulk,
  addReplyError,
  addReplyLong,
  SYNTAX_ERROR,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import type { Heap } from '../structures/heap.ts';
import { partialSort } from '../structures/partial-sort.ts';
import { decrRefCount, OBJ_ENCODING_LISTPACK, OBJ_ZSET, robjEncoding, robjPtr } from '../structures/robj.ts';
import { sdsLen } from '../structures/sds.ts';
import { zslMember, zslNext, zslScore } from '../structures/skiplist.ts';
import { ScoreRange, zslFirstInScoreRange } from '../structures/skiplist-range.ts';
import {
  zzlFirstInScoreRange,
  zzlMember,
  zzlMemberLength,
  zzlMemberOffset,
  zzlNext,
  zzlScoreOf,
} from '../structures/zset-listpack.ts';
import {
  createZset,
  foundScore,
  zsetAdd,
  zsetScore,
  zsetSkiplist,
  zsetToListpackIfSmall,
} from '../types/zset-object.ts';
import {
  addReplyCoordinate,
  addReplyDistance,
  argLatitude,
  argLongitude,
  readPlace,
  readUnit,
} from './geo-arguments.ts';
import { argNumber, isWrongType, readInteger } from './integer-arguments.ts';
import { addReplyListpackElement } from './scan.ts';
import { argScore, readScore } from './sorted-set-arguments.ts';

type Form = 'radius' | 'member' | 'search' | 'searchstore';
type Order = 'none' | 'asc' | 'desc';

const UNDECODABLE = 'could not decode requested zset member';

/** A member inside the area. */
interface Found {
  /** Its node, or its pair in the listpack. */
  readonly at: number;
  readonly score: number;
  readonly longitude: number;
  readonly latitude: number;
  /** In meters. */
  readonly distance: number;
}

/** What the present command asks for. */
const area = new Area();
const range = new ScoreRange();
range.maxExclusive = true;
let order: Order = 'none';
let count = 0;
let any = false;
let withDistance = false;
let withHash = false;
let withCoordinates = false;
/** The argument with the key to store to, 0: replies; and whether distances are stored. */
let storeArg = 0;
let storeDistances = false;
let hasCenter: '' | 'member' | 'place' = '';
let hasShape: '' | 'circle' | 'box' = '';

/** Puts the area's middle where a member is. @returns false after an error */
function centerOnMember(core: RedisCore, c: Client, o: number, i: number): boolean {
  if (!zsetScore(core.heap, o, c.argOff[i], c.argLen[i])) {
    addReplyError(c, UNDECODABLE);
    return false;
  }
  decodeScore(foundScore);
  area.longitude = placeLongitude;
  area.latitude = placeLatitude;
  return true;
}

/** Puts the area's middle to the place in arguments `i` and `i + 1`. @returns false after an error */
function centerOnPlace(core: RedisCore, c: Client, i: number): boolean {
  if (!readPlace(core, c, i)) return false;
  area.longitude = argLongitude;
  area.latitude = argLatitude;
  return true;
}

/** Makes the area a circle of the radius in argument `i`, its unit following. @returns false after an error */
function readCircle(core: RedisCore, c: Client, i: number): boolean {
  if (!readScore(core, c, i, 'need numeric radius')) return false;
  area.isBox = false;
  area.radius = argScore;
  if (argScore < 0) {
    addReplyError(c, 'radius cannot be negative');
    return false;
  }
  area.unitMeters = readUnit(c, i + 1);
  return area.unitMeters !== 0;
}

/** Makes the area a box of the width and height in arguments `i` and `i + 1`, their unit following. @returns false after an error */
function readBox(core: RedisCore, c: Client, i: number): boolean {
  if (!readScore(core, c, i, 'need numeric width')) return false;
  area.isBox = true;
  area.width = argScore;
  if (!readScore(core, c, i + 1, 'need numeric height')) return false;
  area.height = argScore;
  if (area.width < 0 || area.height < 0) {
    addReplyError(c, 'height or width cannot be negative');
    return false;
  }
  area.unitMeters = readUnit(c, i + 2);
  return area.unitMeters !== 0;
}

/** Reads one option at argument `i` that GEOSEARCH and GEORADIUS share. @returns how many arguments it takes, 0: it is none, -1 after an error */
function readCommonOption(core: RedisCore, c: Client, i: number): number {
  if (c.argIs(i, 'withdist')) withDistance = true;
  else if (c.argIs(i, 'withhash')) withHash = true;
  else if (c.argIs(i, 'withcoord')) withCoordinates = true;
  else if (c.argIs(i, 'any')) any = true;
  else if (c.argIs(i, 'asc')) order = 'asc';
  else if (c.argIs(i, 'desc')) order = 'desc';
  else if (c.argIs(i, 'count') && i + 1 < c.argc) return readCount(core, c, i + 1) ? 2 : -1;
  else return 0;
  return 1;
}

function readCount(core: RedisCore, c: Client, i: number): boolean {
  if (!readInteger(core, c, i)) return false;
  count = argNumber;
  if (count > 0) return true;
  addReplyError(c, 'COUNT must be > 0');
  return false;
}

/** Reads one option of GEOSEARCH. @returns as readCommonOption */
function readSearchOption(core: RedisCore, c: Client, i: number, o: number, stores: boolean): number {
  const left = c.argc - i - 1;
  if (c.argIs(i, 'frommember') && left >= 1 && hasCenter !== 'place') {
    hasCenter = 'member';
    // Without the key everything else is still checked.
    return o === 0 || centerOnMember(core, c, o, i + 1) ? 2 : -1;
  }
  if (c.argIs(i, 'fromlonlat') && left >= 2 && hasCenter !== 'member') {
    hasCenter = 'place';
    return centerOnPlace(core, c, i + 1) ? 3 : -1;
  }
  if (c.argIs(i, 'byradius') && left >= 2 && hasShape !== 'box') {
    hasShape = 'circle';
    return readCircle(core, c, i + 1) ? 3 : -1;
  }
  if (c.argIs(i, 'bybox') && left >= 3 && hasShape !== 'circle') {
    hasShape = 'box';
    return readBox(core, c, i + 1) ? 4 : -1;
  }
  if (stores && c.argIs(i, 'storedist')) {
    storeDistances = true;
    return 1;
  }
  return 0;
}

/** Reads one option of GEORADIUS that stores. @returns as readCommonOption */
function readStoreOption(c: Client, i: number): number {
  const distances = c.argIs(i, 'storedist');
  if (i + 1 >= c.argc || !(distances || c.argIs(i, 'store'))) return 0;
  storeArg = i + 1;
  storeDistances = distances;
  return 2;
}

/** Reads the options from argument `first` on. @returns false after an error */
function readOptions(core: RedisCore, c: Client, first: number, form: Form, mayStore: boolean, o: number): boolean {
  const searches = form === 'search' || form === 'searchstore';
  order = 'none';
  count = 0;
  any = false;
  withDistance = false;
  withHash = false;
  withCoordinates = false;
  storeArg = form === 'searchstore' ? 1 : 0;
  storeDistances = false;
  hasCenter = '';
  hasShape = '';
  for (let i = first; i < c.argc; ) {
    let taken = readCommonOption(core, c, i);
    if (taken === 0 && searches) taken = readSearchOption(core, c, i, o, form === 'searchstore');
    else if (taken === 0 && mayStore) taken = readStoreOption(c, i);
    if (taken === 0) addReplyError(c, SYNTAX_ERROR);
    if (taken <= 0) return false;
    i += taken;
  }
  return optionsAgree(c, form);
}

/** @returns false after an error */
function optionsAgree(c: Client, form: Form): boolean {
  const searches = form === 'search' || form === 'searchstore';
  let error = '';
  if (storeArg !== 0 && (withDistance || withHash || withCoordinates)) {
    const name = form === 'searchstore' ? 'GEOSEARCHSTORE' : 'STORE option in GEORADIUS';
    error = `${name} is not compatible with WITHDIST, WITHHASH and WITHCOORD options`;
  } else if (searches && hasCenter === '') {
    error = `exactly one of FROMMEMBER or FROMLONLAT can be specified for ${c.argText(0)}`;
  } else if (searches && hasShape === '') {
    error = `exactly one of BYRADIUS and BYBOX can be specified for ${c.argText(0)}`;
  } else if (any && count === 0) {
    error = 'the ANY argument requires COUNT argument';
  } else {
    return true;
  }
  addReplyError(c, error);
  return false;
}

/** Adds a member to what has been found, if it is inside. */
function collect(found: Found[], at: number, score: number): void {
  decodeScore(score);
  if (!area.contains()) return;
  found.push({ at, score, longitude: placeLongitude, latitude: placeLatitude, distance: area.distance });
}

/** Collects the members inside the area whose scores are in `range`. @param limit 0: all */
function collectRange(h: Heap, o: number, found: Found[], limit: number): void {
  if (robjEncoding(h, o) === OBJ_ENCODING_LISTPACK) {
    const lp = robjPtr(h, o);
    for (let p = zzlFirstInScoreRange(h, lp, range); p !== 0; p = zzlNext(h, lp, p)) {
      const score = zzlScoreOf(h, lp, p);
      if (!range.isBelowMax(score)) break;
      collect(found, p, score);
      if (limit > 0 && found.length >= limit) break;
    }
    return;
  }
  for (let node = zslFirstInScoreRange(h, zsetSkiplist(h, o), range); node !== 0; node = zslNext(h, node)) {
    const score = zslScore(h, node);
    if (!range.isBelowMax(score)) break;
    collect(found, node, score);
    if (limit > 0 && found.length >= limit) break;
  }
}

/** Finds the members inside the area, in the order of the cells and the scores in them. */
function search(h: Heap, o: number): Found[] {
  const found: Found[] = [];
  const limit = any ? count : 0;
  area.cover();
  let last = 0;
  for (let i = 0; i < area.cells.length; i++) {
    const cell = area.cells[i]!;
    if (cell.excluded) continue;
    // With a huge area the cells around the middle are the same from both sides.
    if (last !== 0 && cell.isSame(area.cells[last]!)) continue;
    if (limit > 0 && found.length >= limit) break;
    range.min = cell.scoreMin;
    range.max = cell.scoreEnd;
    collectRange(h, o, found, limit);
    last = i;
  }
  return found;
}

const nearestFirst = (a: Found, b: Found): number => (a.distance > b.distance ? 1 : a.distance === b.distance ? 0 : -1);
const farthestFirst = (a: Found, b: Found): number => -nearestFirst(a, b);

/** Sorts as far as wanted. @returns how many are wanted */
function sortFound(found: Found[]): number {
  const wanted = count === 0 ? found.length : Math.min(count, found.length);
  // Some members, but not the nearest, can only be what is asked for with ANY.
  const by = count !== 0 && order === 'none' && !any ? 'asc' : order;
  if (by === 'none') return wanted;
  const compare = by === 'asc' ? nearestFirst : farthestFirst;
  if (wanted === found.length) found.sort(compare);
  else partialSort(found, compare, 0, wanted - 1);
  return wanted;
}

/** At the ends of the grid a score may be beyond 2^53. */
function replyHash(c: Client, score: number): void {
  if (Number.isSafeInteger(score)) addReplyLong(c, score);
  else addReplyBigInt(c, BigInt(score));
}

function replyFound(core: RedisCore, c: Client, o: number, found: readonly Found[], wanted: number): void {
  const h = core.heap;
  const options = Number(withDistance) + Number(withHash) + Number(withCoordinates);
  const packed = robjEncoding(h, o) === OBJ_ENCODING_LISTPACK;
  addReplyArrayLen(c, wanted);
  for (let i = 0; i < wanted; i++) {
    const one = found[i]!;
    if (options > 0) addReplyArrayLen(c, options + 1);
    if (packed) addReplyListpackElement(c, one.at);
    else addReplyBulk(c, zslMember(h, one.at), sdsLen(h, zslMember(h, one.at)));
    if (withDistance) addReplyDistance(c, one.distance / area.unitMeters);
    if (withHash) replyHash(c, Math.trunc(one.score));
    if (withCoordinates) {
      addReplyArrayLen(c, 2);
      addReplyCoordinate(c, one.longitude);
      addReplyCoordinate(c, one.latitude);
    }
  }
}

/** A new sorted set of what has been found. @throws ARENA_EXHAUSTED, nothing leaked */
function makeResult(h: Heap, o: number, found: readonly Found[], wanted: number): number {
  const packed = robjEncoding(h, o) === OBJ_ENCODING_LISTPACK;
  const result = createZset(h);
  let longest = 0;
  let total = 0;
  try {
    for (let i = 0; i < wanted; i++) {
      const one = found[i]!;
      let member: number;
      let length: number;
      if (packed) {
        zzlMember(h, one.at);
        member = zzlMemberOffset;
        length = zzlMemberLength;
      } else {
        member = zslMember(h, one.at);
        length = sdsLen(h, member);
      }
      zsetAdd(h, result, storeDistances ? one.distance / area.unitMeters : one.score, member, length, 0);
      if (length > longest) longest = length;
      total += length;
    }
    zsetToListpackIfSmall(h, result, longest, total);
    return result;
  } catch (error) {
    decrRefCount(h, result);
    throw error;
  }
}

function storeFound(core: RedisCore, c: Client, o: number, found: readonly Found[], wanted: number, form: Form): void {
  const key = c.argOff[storeArg];
  const length = c.argLen[storeArg];
  if (wanted === 0) {
    deleteKey(core, c.db, key, length);
  } else {
    const result = makeResult(core.heap, o, found, wanted);
    lookupKeyWrite(core, c.db, key, length);
    setKey(core, c.db, key, length, result, false, foundEntry);
    const event = form === 'searchstore' ? 'geosearchstore' : 'georadiusstore';
    core.notifyKeyspaceEvent(NOTIFY_ZSET, event, key, length, c.db.id);
    core.dirty += wanted;
  }
  addReplyLong(c, wanted);
}

/** Reads what stands before the options of GEORADIUS and GEORADIUSBYMEMBER. @returns the first option's argument, 0 after an error */
function readFixed(core: RedisCore, c: Client, form: Form, o: number): number {
  if (form === 'radius') return centerOnPlace(core, c, 2) && readCircle(core, c, 4) ? 6 : 0;
  if (o === 0) return 5;
  return centerOnMember(core, c, o, 2) && readCircle(core, c, 3) ? 5 : 0;
}

function searchGeneric(core: RedisCore, c: Client, form: Form, mayStore: boolean): void {
  const keyArg = form === 'searchstore' ? 2 : 1;
  const o = lookupKeyRead(core, c.db, c.argOff[keyArg], c.argLen[keyArg]);
  if (isWrongType(core, c, o, OBJ_ZSET)) return;
  const searches = form === 'search' || form === 'searchstore';
  const first = searches ? keyArg + 1 : readFixed(core, c, form, o);
  if (first === 0 || !readOptions(core, c, first, form, mayStore, o)) return;
  if (o === 0) {
    if (storeArg === 0) {
      addReplyArrayLen(c, 0);
    } else {
      deleteKey(core, c.db, c.argOff[storeArg], c.argLen[storeArg]);
      addReplyLong(c, 0);
    }
    return;
  }
  const found = search(core.heap, o);
  const wanted = sortFound(found);
  if (storeArg === 0) replyFound(core, c, o, found, wanted);
  else storeFound(core, c, o, found, wanted, form);
}

/** The procedures, by full name. */
export const geoSearchProcs: Readonly<Record<string, CommandProc>> = {
  georadius: (core, c) => searchGeneric(core, c, 'radius', true),
  georadius_ro: (core, c) => searchGeneric(core, c, 'radius', false),
  georadiusbymember: (core, c) => searchGeneric(core, c, 'member', true),
  georadiusbymember_ro: (core, c) => searchGeneric(core, c, 'member', false),
  geosearch: (core, c) => searchGeneric(core, c, 'search', false),
  geosearchstore: (core, c) => searchGeneric(core, c, 'searchstore', true),
};
