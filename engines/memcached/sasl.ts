/**
 * SASL as the binary protocol carries it, with the one mechanism PLAIN: "authorization id NUL name NUL password" in one message. A message
 * that starts it without data is answered with CONTINUE, and the data may come with a step.
 */
import type { Credentials } from './credentials.ts';

export const SASL_MECHANISMS = 'PLAIN';
/** A longer mechanism name is refused without being looked at. */
export const SASL_MECHANISM_BYTES_MAX = 32;

export const SASL_OK = 0;
export const SASL_CONTINUE = 1;
export const SASL_FAILED = 2;

/** Bits of a connection's state. */
export const AUTHENTICATED = 1;
/** The last start was accepted: a step may follow. */
export const AUTH_STARTED = 2;
/** It has been answered with CONTINUE. */
export const AUTH_WAITING = 4;

/**
 * A start or a step.
 * @param state the connection's bits before
 * @param length of the data at `at`
 * @returns SASL_…; `nextState` tells the bits afterwards
 */
export function saslStep(
  credentials: Credentials,
  state: number,
  isStart: boolean,
  u8: Uint8Array,
  mechanismAt: number,
  mechanismLength: number,
  at: number,
  length: number,
): number {
  if (isStart) {
    if (!isPlain(u8, mechanismAt, mechanismLength)) return SASL_FAILED;
    if (length === 0) return SASL_CONTINUE;
  } else if ((state & AUTH_WAITING) === 0) {
    // Nothing was started, or it is over.
    return SASL_FAILED;
  }
  return checkPlain(credentials, u8, at, at + length) ? SASL_OK : SASL_FAILED;
}

/** The bits after a start or a step. */
export function nextState(state: number, isStart: boolean, result: number): number {
  const authenticated = result === SASL_OK ? AUTHENTICATED : 0;
  if (isStart) {
    if (result === SASL_CONTINUE) return AUTH_STARTED | AUTH_WAITING;
    return authenticated | (result === SASL_OK ? AUTH_STARTED : 0);
  }
  // A step that failed may be tried again.
  return authenticated | (result === SASL_OK ? AUTH_STARTED : state & (AUTH_STARTED | AUTH_WAITING));
}

/** Whether it is the name of the mechanism, in letters of either case and up to a NUL. */
function isPlain(u8: Uint8Array, at: number, length: number): boolean {
  let end = 0;
  while (end < length && u8[at + end] !== 0) end++;
  if (end !== SASL_MECHANISMS.length) return false;
  for (let i = 0; i < end; i++) if ((u8[at + i]! & 0xdf) !== SASL_MECHANISMS.charCodeAt(i)) return false;
  return true;
}

function checkPlain(credentials: Credentials, u8: Uint8Array, at: number, end: number): boolean {
  const first = u8.indexOf(0, at);
  if (first < 0 || first >= end) return false;
  const second = u8.indexOf(0, first + 1);
  if (second < 0 || second >= end) return false;
  const third = u8.indexOf(0, second + 1);
  if (third >= 0 && third < end) return false;
  const [userAt, userEnd] = trimmed(u8, first + 1, second);
  const passwordAt = second + 1;
  if (userAt === userEnd || passwordAt === end) return false;
  // Acting for somebody else is nobody's right.
  if (first > at) {
    const [forAt, forEnd] = trimmed(u8, at, first);
    if (forEnd - forAt !== userEnd - userAt) return false;
    for (let i = 0; i < forEnd - forAt; i++) if (u8[forAt + i] !== u8[userAt + i]) return false;
  }
  return credentials.matches(u8, userAt, userEnd - userAt, passwordAt, end - passwordAt);
}

function isSpace(byte: number): boolean {
  return byte === 32 || (byte >= 9 && byte <= 13);
}

/** A name without the spaces around it. */
function trimmed(u8: Uint8Array, at: number, end: number): [number, number] {
  while (at < end && isSpace(u8[at]!)) at++;
  while (end > at && isSpace(u8[end - 1]!)) end--;
  return [at, end];
}
