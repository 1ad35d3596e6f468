/**
 * The kinds of operation as small integers, because a driver switches on them millions of times a second.
 */
import type { OperationKind } from '../../scenarios/spec.ts';

export const OP_GET = 0;
export const OP_SET = 1;
export const OP_ADD = 2;
export const OP_REPLACE = 3;
export const OP_APPEND = 4;
export const OP_DELETE = 5;
export const OP_TOUCH = 6;
export const OP_INCR = 7;
export const OP_MGET = 8;
export const OP_MSET = 9;

/** Names by number: `OPERATION_KINDS[OP_GET] === 'get'`. */
export const OPERATION_KINDS: readonly OperationKind[] = [
  'get',
  'set',
  'add',
  'replace',
  'append',
  'delete',
  'touch',
  'incr',
  'mget',
  'mset',
];

/** @returns the number of an operation's name */
export function operationCode(kind: OperationKind): number {
  const code = OPERATION_KINDS.indexOf(kind);
  if (code < 0) throw new RangeError(`Cannot find the operation ${kind}: it is none of ${OPERATION_KINDS.join(', ')}`);
  return code;
}
