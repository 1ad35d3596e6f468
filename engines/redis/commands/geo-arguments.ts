/** What the geo commands share: reading places and units, replying coordinates and distances. */
import type { Client } from '../client.ts';
import { LATITUDE_MAX, LATITUDE_MIN, LONGITUDE_MAX, LONGITUDE_MIN } from '../geo/geohash.ts';
import { addReplyBulkString, addReplyError, addReplyProto } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { argScore, readScore } from './sorted-set-arguments.ts';

/** 2^18: a coordinate that is an odd multiple of its inverse has 18 digits behind the point, the last of them a 5. */
const HALF_UNIT = 262_144;
const COORDINATE_DIGITS = 17;
const DISTANCE_DIGITS = 4;
const FEET_METERS = 0.3048;
const MILE_METERS = 1609.34;

/** The place read last. */
export let argLongitude = 0;
export let argLatitude = 0;

/** As printf's %f writes it. */
function sixDigits(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  return Math.abs(value) < 1e21 ? value.toFixed(6) : `${BigInt(value)}.000000`;
}

/** Reads arguments `i` and `i + 1` as a place. @returns false after an error */
export function readPlace(core: RedisCore, c: Client, i: number): boolean {
  if (!readScore(core, c, i)) return false;
  argLongitude = argScore;
  if (!readScore(core, c, i + 1)) return false;
  argLatitude = argScore;
  const onGrid =
    argLongitude >= LONGITUDE_MIN &&
    argLongitude <= LONGITUDE_MAX &&
    argLatitude >= LATITUDE_MIN &&
    argLatitude <= LATITUDE_MAX;
  if (!onGrid) {
    addReplyError(c, `invalid longitude,latitude pair ${sixDigits(argLongitude)},${sixDigits(argLatitude)}`);
  }
  return onGrid;
}

/** Reads argument `i` as a unit. @returns its length in meters, 0 after an error */
export function readUnit(c: Client, i: number): number {
  if (c.argIs(i, 'm')) return 1;
  if (c.argIs(i, 'km')) return 1000;
  if (c.argIs(i, 'ft')) return FEET_METERS;
  if (c.argIs(i, 'mi')) return MILE_METERS;
  addReplyError(c, 'unsupported unit provided. please use M, KM, FT, MI');
  return 0;
}

/** A coordinate with up to 17 digits behind the point and no trailing zeros; ties go to the even digit, as in C. */
export function formatCoordinate(value: number): string {
  const scaled = value * HALF_UNIT;
  let text = value.toFixed(COORDINATE_DIGITS);
  if (Number.isInteger(scaled) && Math.abs(scaled % 2) === 1) {
    const cut = value.toFixed(COORDINATE_DIGITS + 1).slice(0, -1);
    if ((cut.charCodeAt(cut.length - 1) & 1) === 0) text = cut;
  }
  text = text.replace(/\.?0+$/, '');
  return text === '-0' ? '0' : text;
}

export function addReplyCoordinate(c: Client, value: number): void {
  const text = formatCoordinate(value);
  if (c.resp === 2) addReplyBulkString(c, text);
  else addReplyProto(c, `,${text}\r\n`);
}

export function addReplyDistance(c: Client, distance: number): void {
  addReplyBulkString(c, Number.isNaN(distance) ? '-nan' : distance.toFixed(DISTANCE_DIGITS));
}
