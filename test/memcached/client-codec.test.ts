import { describe, expect, it } from 'vitest';
import { OP_GETK, OP_SET, STATUS_SUCCESS } from '../../engines/memcached/protocol/binary.ts';
import {
  asciiArithmetic,
  asciiCas,
  asciiGat,
  asciiGet,
  asciiGetBegin,
  asciiGetEnd,
  asciiGetKey,
  asciiStore,
  asciiTouch,
  asciiValueEnd,
  binaryGet,
  binaryStore,
  encodeDecimal,
  VERB_PREPEND,
  VERB_SET,
} from '../../engines/memcached/protocol/encode.ts';
import {
  AsciiReplyParser,
  BINARY_BROKEN,
  BINARY_INCOMPLETE,
  BINARY_REPLY,
  BinaryReplyParser,
  REPLY_BROKEN,
  REPLY_CLIENT_ERROR,
  REPLY_END,
  REPLY_ERROR,
  REPLY_INCOMPLETE,
  REPLY_NOT_FOUND,
  REPLY_NOT_STORED,
  REPLY_NUMBER,
  REPLY_OK,
  REPLY_STAT,
  REPLY_STORED,
  REPLY_VALUE,
} from '../../engines/memcached/protocol/reply-parser.ts';

const key = Buffer.from('xxhello');
const out = new Uint8Array(1_000);
const shown = (end: number): string => Buffer.from(out.subarray(0, end)).toString('latin1');

describe('ASCII requests', () => {
  it('are the lines of the protocol', () => {
    expect(shown(asciiGet(out, 0, key, 2, 5))).toBe('get hello\r\n');
    expect(shown(asciiGet(out, 0, key, 2, 5, true))).toBe('gets hello\r\n');
    let at = asciiGetBegin(out, 0);
    at = asciiGetKey(out, at, key, 2, 5);
    at = asciiGetKey(out, at, key, 3, 4);
    expect(shown(asciiGetEnd(out, at))).toBe('get hello ello\r\n');
    expect(shown(asciiGat(out, 0, -1, key, 2, 5))).toBe('gat -1 hello\r\n');
    expect(shown(asciiStore(out, 0, VERB_SET, key, 2, 5, 7, 60, 3))).toBe('set hello 7 60 3\r\n');
    expect(shown(asciiStore(out, 0, VERB_PREPEND, key, 2, 5, 0, 0, 0, true))).toBe('prepend hello 0 0 0 noreply\r\n');
    expect(shown(asciiCas(out, 0, key, 2, 5, 1, 0, 2, 18446744073709551615n))).toBe(
      'cas hello 1 0 2 18446744073709551615\r\n',
    );
    expect(shown(asciiTouch(out, 0, key, 2, 5, 9))).toBe('touch hello 9\r\n');
    expect(shown(asciiArithmetic(out, 0, true, key, 2, 5, 12))).toBe('decr hello 12\r\n');
    expect(shown(asciiValueEnd(out, 0))).toBe('\r\n');
  });
  it('write any integer in decimal', () => {
    for (const n of [0, 9, 10, 99, 100, 4294967295, Number.MAX_SAFE_INTEGER, -1, -86400]) {
      expect(shown(encodeDecimal(out, 0, n))).toBe(String(n));
    }
  });
});

describe('ASCII replies', () => {
  const stream = Buffer.from(
    'VALUE hello 7 3 99\r\nabc\r\nVALUE b 0 0\r\n\r\nEND\r\nSTORED\r\nNOT_STORED\r\nNOT_FOUND\r\nOK\r\n17\r\nSTAT a b\r\nERROR\r\nCLIENT_ERROR bad\r\n',
  );
  const kinds = [
    REPLY_VALUE,
    REPLY_VALUE,
    REPLY_END,
    REPLY_STORED,
    REPLY_NOT_STORED,
    REPLY_NOT_FOUND,
    REPLY_OK,
    REPLY_NUMBER,
    REPLY_STAT,
    REPLY_ERROR,
    REPLY_CLIENT_ERROR,
  ];
  it('are told apart, with key, flags, data and CAS', () => {
    const parser = new AsciiReplyParser();
    expect(parser.next(stream, 0, stream.length)).toBe(REPLY_VALUE);
    expect(stream.toString('latin1', parser.keyAt, parser.keyAt + parser.keyLength)).toBe('hello');
    expect(stream.toString('latin1', parser.valueAt, parser.valueAt + parser.valueLength)).toBe('abc');
    expect([parser.flags, parser.casValue(stream)]).toEqual([7, 99n]);
  });
  it('are the same however the bytes are cut', () => {
    const parser = new AsciiReplyParser();
    const seen: number[] = [];
    let start = 0;
    for (let end = 0; end <= stream.length; end++) {
      const kind = parser.next(stream, start, end);
      if (kind === REPLY_INCOMPLETE) continue;
      seen.push(kind);
      start = parser.nextAt;
      expect(start).toBe(end);
    }
    expect(seen).toEqual(kinds);
  });
  it('that break the framing are reported as broken', () => {
    const parser = new AsciiReplyParser();
    const bad = Buffer.from('VALUE k 0 2\r\nabcd\r\n');
    expect(parser.next(bad, 0, bad.length)).toBe(REPLY_BROKEN);
  });
});

describe('binary requests and responses', () => {
  it('carry header, extras and key in network order', () => {
    const end = binaryStore(out, 0, key, 2, 5, 0xdeadbeef, 60, 3, 0x01020304, OP_SET, 5n);
    expect(Buffer.from(out.subarray(0, end)).toString('hex')).toBe(
      '800100050800000000000010010203040000000000000005deadbeef0000003c68656c6c6f',
    );
    const getEnd = binaryGet(out, 0, key, 2, 5, 9, OP_GETK);
    expect(Buffer.from(out.subarray(0, getEnd)).toString('hex')).toBe(
      '800c0005000000000000000500000009000000000000000068656c6c6f',
    );
  });
  it('are parsed whole, and only when whole', () => {
    const reply = Buffer.from('810c0005040000000000000c000000090000000100000002deadbeef68656c6c6f616263', 'hex');
    const parser = new BinaryReplyParser();
    for (let end = 0; end < reply.length; end++) expect(parser.next(reply, 0, end)).toBe(BINARY_INCOMPLETE);
    expect(parser.next(reply, 0, reply.length)).toBe(BINARY_REPLY);
    expect([parser.opcode, parser.status, parser.opaque, parser.flags(reply)]).toEqual([
      OP_GETK,
      STATUS_SUCCESS,
      9,
      0xdeadbeef,
    ]);
    expect(parser.casValue()).toBe(0x100000002n);
    expect(reply.toString('latin1', parser.valueAt, parser.valueAt + parser.valueLength)).toBe('abc');
    expect(parser.next(Buffer.from('STORED\r\n'), 0, 8)).toBe(BINARY_BROKEN);
  });
});
