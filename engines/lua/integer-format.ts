/**
 * Where C's `long` matters: the original's has 64 bits, this machine's 32. string.format writes large integers and tonumber reads them
 * in other bases through it, so both are helped out here.
 */
import { LUA_TNUMBER, LUA_TSTRING, type LuaFunction, type LuaMachine, type LuaState } from './machine.ts';

const LIMIT = 2 ** 31;
const INT64_MIN = -(1n << 63n);
const INT64_MAX = (1n << 63n) - 1n;
const UINT64_MAX = (1n << 64n) - 1n;
const SPEC = /%([-+ #0]*)(\d{0,2})(?:\.(\d{0,2}))?([a-zA-Z%])/g;

/** A double as a C cast to 64 bits gives it. */
function toInt64(value: number): bigint {
  if (!Number.isFinite(value)) return INT64_MIN;
  const whole = BigInt(Math.trunc(value));
  return whole < INT64_MIN || whole > INT64_MAX ? INT64_MIN : whole;
}

/** As a cast to an unsigned 64-bit integer. */
function toUint64(value: number): bigint {
  if (!Number.isFinite(value)) return 1n << 63n;
  const whole = BigInt(Math.trunc(value));
  return whole > UINT64_MAX || whole < INT64_MIN ? 1n << 63n : BigInt.asUintN(64, whole);
}

/** One number by the parts of its specification. */
function formatInteger(
  value: number,
  flags: string,
  width: string,
  precision: string | undefined,
  kind: string,
): string {
  const signed = kind === 'd' || kind === 'i';
  const bits = signed ? toInt64(value) : toUint64(value);
  const base = kind === 'o' ? 8 : kind === 'x' || kind === 'X' ? 16 : 10;
  const negative = bits < 0n;
  let digits = (negative ? -bits : bits).toString(base);
  if (kind === 'X') digits = digits.toUpperCase();
  if (precision !== undefined) digits = digits.padStart(Number(precision || '0'), '0');
  if (flags.includes('#') && base === 8) digits = `0${digits}`;
  let sign = negative ? '-' : '';
  if (!negative && signed) sign = flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';
  if (flags.includes('#') && base === 16) sign += kind === 'X' ? '0X' : '0x';
  const room = Number(width || '0');
  if (flags.includes('-')) return `${sign}${digits}`.padEnd(room);
  if (flags.includes('0') && precision === undefined) return `${sign}${digits.padStart(room - sign.length, '0')}`;
  return `${sign}${digits}`.padStart(room);
}

/** string.format with integers of 64 bits. */
export function wideFormat(machine: LuaMachine, L: LuaState, original: LuaFunction): number {
  const { x } = machine;
  const top = x.lua_gettop(L);
  let large = false;
  for (let i = 2; i <= top; i++) {
    if (x.lua_isnumber(L, i) === 0) continue;
    const value = x.lua_tonumber(L, i);
    if (!(value < LIMIT && value >= -LIMIT)) large = true;
  }
  if (!large || x.lua_type(L, 1) !== LUA_TSTRING) return original(L);
  const format = machine.toLatin1(L, 1)!;
  let argument = 1;
  let removed = 0;
  const rewritten = format.replace(
    SPEC,
    (spec, flags: string, width: string, precision: string | undefined, kind: string) => {
      if (kind === '%') return spec;
      argument++;
      const at = argument - removed;
      if (!'diouxX'.includes(kind) || at > x.lua_gettop(L) || x.lua_isnumber(L, at) === 0) return spec;
      const value = x.lua_tonumber(L, at);
      if (value < LIMIT && value >= -LIMIT) return spec;
      x.lua_remove(L, at);
      removed++;
      return formatInteger(value, flags, width, precision, kind);
    },
  );
  machine.pushLatin1(L, rewritten);
  x.lua_replace(L, 1);
  return original(L);
}

/** tonumber with a base, for numerals that may pass 32 bits. */
export function wideToNumber(machine: LuaMachine, L: LuaState, original: LuaFunction): number {
  const { x } = machine;
  if (x.lua_gettop(L) < 2 || x.lua_type(L, 2) !== LUA_TNUMBER) return original(L);
  const base = x.lua_tonumber(L, 2);
  const text = machine.toLatin1(L, 1);
  if (text === null || base === 10 || !(base >= 2 && base <= 36)) return original(L);
  const match = /^[ \t\n\v\f\r]*([+-]?)([0-9a-zA-Z]+)[ \t\n\v\f\r]*$/.exec(text);
  if (match === null) return original(L);
  const numeral = base === 16 ? match[2]!.replace(/^0[xX](?=[0-9a-fA-F])/, '') : match[2]!;
  let value = 0n;
  for (const digit of numeral) {
    const worth = Number.parseInt(digit, 36);
    if (worth >= base) return original(L);
    value = value * BigInt(base) + BigInt(worth);
  }
  if (value > UINT64_MAX) value = UINT64_MAX;
  else if (match[1] === '-') value = BigInt.asUintN(64, -value);
  x.lua_pushnumber(L, Number(value));
  return 1;
}
