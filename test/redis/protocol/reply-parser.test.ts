import { describe, expect, it } from 'vitest';
import { encodeHead, encodeText, encodeUint } from '../../../engines/redis/protocol/encode.ts';
import { REPLY_INCOMPLETE, REPLY_INVALID, ReplyParser } from '../../../engines/redis/protocol/reply-parser.ts';
import { seededRandom } from '../../support/seed.ts';

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'));

function items(parser: ReplyParser, u8: Uint8Array): (string | null)[] {
  return Array.from({ length: parser.items }, (_, i) => {
    const length = parser.itemLength[i]!;
    const at = parser.itemOffset[i]!;
    return length < 0 ? null : Buffer.from(u8.subarray(at, at + length)).toString('latin1');
  });
}

const replies: [text: string, type: string, items: (string | null)[]][] = [
  ['+OK\r\n', '+', ['OK']],
  ['-ERR no\r\n', '-', ['ERR no']],
  [':-12\r\n', ':', ['-12']],
  ['$5\r\nab\r\nc\r\n', '$', ['ab\r\nc']],
  ['$0\r\n\r\n', '$', ['']],
  ['$-1\r\n', '_', [null]],
  ['*-1\r\n', '_', [null]],
  ['*0\r\n', '*', []],
  ['*3\r\n$1\r\na\r\n$-1\r\n*2\r\n:1\r\n:2\r\n', '*', ['a', null, '1', '2']],
  ['%2\r\n+a\r\n:1\r\n+b\r\n_\r\n', '%', ['a', '1', 'b', null]],
  ['~1\r\n#t\r\n', '~', ['t']],
  ['>2\r\n+m\r\n,1.5\r\n', '>', ['m', '1.5']],
  ['=8\r\ntxt:abcd\r\n', '=', ['txt:abcd']],
  ['(123456789012345678901\r\n', '(', ['123456789012345678901']],
  ['!5\r\nERR x\r\n', '!', ['ERR x']],
  ['|1\r\n+k\r\n*2\r\n:1\r\n:2\r\n*1\r\n+v\r\n', '*', ['v']],
];

describe('the reply parser', () => {
  it('locates every kind of value', () => {
    for (const [text, type, wanted] of replies) {
      const u8 = bytes(text);
      const parser = new ReplyParser();
      expect(parser.parse(u8, 0, u8.length), text).toBe(u8.length);
      expect(String.fromCharCode(parser.type), text).toBe(type);
      expect(items(parser, u8), text).toEqual(wanted);
    }
  });

  it('gives the same when the bytes come in slices and move in between', () => {
    const random = seededRandom('replies in slices');
    for (let round = 0; round < 300; round++) {
      const chosen = Array.from({ length: 5 }, () => replies[random.nextBelow(replies.length)]!);
      const whole = bytes(chosen.map(([text]) => text).join(''));
      const parser = new ReplyParser();
      let consumed = 0;
      let known = 0;
      for (const [text, , wanted] of chosen) {
        for (;;) {
          // The kept bytes lie somewhere else at each call, as in a loop's buffers.
          const base = random.nextBelow(50);
          const buffer = new Uint8Array(base + known - consumed);
          buffer.set(whole.subarray(consumed, known), base);
          const next = parser.parse(buffer, base, buffer.length);
          if (next === REPLY_INCOMPLETE) {
            expect(parser.missing).toBeLessThanOrEqual(whole.length - known);
            known += 1 + random.nextBelow(Math.min(7, whole.length - known));
            continue;
          }
          expect(items(parser, buffer), text).toEqual(wanted);
          consumed += next - base;
          break;
        }
      }
      expect(consumed).toBe(whole.length);
    }
  });

  it('refuses what is no reply', () => {
    for (const text of ['x\r\n', '$x\r\n', '$-5\r\n', '*\r\n', '$12345678901234567890\r\n']) {
      const u8 = bytes(text);
      expect(new ReplyParser().parse(u8, 0, u8.length), text).toBe(REPLY_INVALID);
    }
  });
});

describe('the request encoder', () => {
  it('writes what the server reads', () => {
    const u8 = new Uint8Array(100);
    let at = encodeHead(u8, 3, 3);
    at = encodeText(u8, at, 'set');
    at = encodeText(u8, at, '');
    at = encodeUint(u8, at, 1_234_567_890_123);
    expect(Buffer.from(u8.subarray(3, at)).toString('latin1')).toBe(
      '*3\r\n$3\r\nset\r\n$0\r\n\r\n$13\r\n1234567890123\r\n',
    );
  });
});
