import { describe, expect, it } from 'vitest';
import { decodeBase64InPlace, encodeBase64 } from '../../engines/memcached/base64.ts';
import { InProcess } from './in-process.ts';

/** A server, a connection, and a way to send a line. */
function start(settings = {}): { server: InProcess; conn: number; ask: (text: string) => string } {
  const server = new InProcess({ reqsPerEvent: 1_000_000, ...settings });
  const conn = server.open();
  return { server, conn, ask: (text) => server.send(conn, text) };
}

describe('meta commands', () => {
  it('answer flags in the order in which they were asked for', () => {
    const { ask } = start();
    expect(ask('ms foo 3 T100 F7 c k Oabc\r\nbar\r\n')).toBe('HD c1 kfoo Oabc\r\n');
    expect(ask('mg foo s v t Oxy k f c\r\n')).toBe('VA 3 s3 t100 Oxy kfoo f7 c1\r\nbar\r\n');
    expect(ask('mg foo\r\n')).toBe('HD\r\n');
    expect(ask('mg nope v Oxy k\r\n')).toBe('EN Oxy knope\r\n');
  });

  it('keep quiet about what was to be expected, and tell errors all the same', () => {
    const { ask } = start();
    expect(ask('ms foo 1 q\r\nx\r\nmg nope q v\r\nmd foo q\r\nmn\r\n')).toBe('MN\r\n');
    expect(ask('md nope q\r\nms foo 1 q C9\r\nx\r\n')).toBe('NF\r\nNF\r\n');
    expect(ask('ms foo 1 q Oabcdefghijklmnopqrstuvwxyz0123456789\r\nx\r\n')).toBe(
      'CLIENT_ERROR opaque token too long\r\n',
    );
    expect(ask('ms foo 2 q\r\nabc\r\nmn\r\n')).toBe('CLIENT_ERROR bad data chunk\r\nERROR\r\nMN\r\n');
  });

  it('show the state before a fetch with h and l, and leave it with u', () => {
    const { server, ask } = start();
    ask('set foo 0 0 1\r\nx\r\n');
    server.advance(5);
    expect(ask('mg foo h l u\r\n')).toBe('HD h0 l5\r\n');
    expect(ask('mg foo h l\r\n')).toBe('HD h0 l5\r\n');
    expect(ask('mg foo h l\r\n')).toBe('HD h1 l5\r\n');
    server.advance(100);
    // The second fetch has made it active and renewed its time; further ones leave it at that.
    expect(ask('mg foo h l\r\n')).toBe('HD h1 l100\r\n');
    expect(ask('mg foo h l\r\n')).toBe('HD h1 l100\r\n');
  });

  it('let one client fill an item that is missing', () => {
    const { server, ask } = start();
    const other = server.open();
    expect(ask('mg foo N30 v t\r\n')).toBe('VA 0 t30 W\r\n\r\n');
    expect(server.send(other, 'mg foo N30 v t\r\n')).toBe('VA 0 t30 Z\r\n\r\n');
    expect(ask('ms foo 2\r\nab\r\n')).toBe('HD\r\n');
    expect(server.send(other, 'mg foo N30 v\r\n')).toBe('VA 2\r\nab\r\n');
  });

  it('let one client renew an item that will soon expire', () => {
    const { server, ask } = start();
    ask('ms foo 2 T30\r\nab\r\n');
    expect(ask('mg foo R20 v\r\n')).toBe('VA 2\r\nab\r\n');
    server.advance(15);
    expect(ask('mg foo R20 v t\r\n')).toBe('VA 2 t15 W\r\nab\r\n');
    expect(ask('mg foo R20 v\r\n')).toBe('VA 2 Z\r\nab\r\n');
  });

  it('mark an item as stale, and take an older value for it', () => {
    const { ask } = start();
    expect(ask('ms foo 2 T100 c\r\nab\r\n')).toBe('HD c1\r\n');
    expect(ask('md foo I T50\r\n')).toBe('HD\r\n');
    expect(ask('mg foo v c t\r\n')).toBe('VA 2 c2 t50 X W\r\nab\r\n');
    expect(ask('mg foo v\r\n')).toBe('VA 2 Z X\r\nab\r\n');
    expect(ask('ms foo 2 C1\r\ncd\r\n')).toBe('EX\r\n');
    expect(ask('ms foo 2 C1 I T999 c\r\ncd\r\n')).toBe('HD c3\r\n');
    expect(ask('mg foo v t\r\n')).toBe('VA 2 t50 Z X\r\ncd\r\n');
    expect(ask('ms foo 2 C3\r\nef\r\n')).toBe('HD\r\n');
    expect(ask('mg foo v\r\n')).toBe('VA 2\r\nef\r\n');
  });

  it('count, and make the counter that is not there', () => {
    const { ask } = start();
    expect(ask('ma n\r\n')).toBe('NF\r\n');
    expect(ask('ma n N0 J13 v\r\n')).toBe('VA 2\r\n13\r\n');
    expect(ask('ma n v D7\r\nma n MD D30 v\r\nma n v c t k\r\n')).toBe(
      'VA 2\r\n20\r\nVA 1\r\n0\r\nVA 1 c4 t-1 kn\r\n1\r\n',
    );
    expect(ask('ma n D18446744073709551615 v\r\n')).toBe('VA 1\r\n0\r\n');
    expect(ask('ma n MX\r\n')).toBe('CLIENT_ERROR invalid mode for ma M token\r\n');
  });

  it('know binary keys, and answer them in Base64', () => {
    const { ask } = start();
    expect(ask('ms AAEgDQo= 2 b k\r\nab\r\n')).toBe('HD kAAEgDQo= b\r\n');
    expect(ask('mg AAEgDQo= b v k\r\n')).toBe('VA 2 kAAEgDQo= b\r\nab\r\n');
    expect(ask('me AAEgDQo= b\r\n')).toMatch(/^ME AAEgDQo= exp=-1 la=0 cas=1 fetch=yes cls=1 size=66\r\n$/);
    expect(ask('md AAEgDQo= b k\r\n')).toBe('HD kAAEgDQo= b\r\n');
    expect(ask('mg AAE b\r\n')).toBe('CLIENT_ERROR error decoding key\r\n');
    // What was stored by a plain key is answered so, however it is asked for.
    ask('set foo 0 0 1\r\nx\r\n');
    expect(ask('mg Zm9v b k\r\n')).toBe('HD kfoo\r\n');
  });

  it('answer the same when the value comes in pieces, with all that was asked for', () => {
    const { server, ask } = start();
    expect(ask('ms a2V5 5000 b k c Oxyz F3\r\n')).toBe('');
    expect(ask('v'.repeat(2_000))).toBe('');
    expect(ask(`${'v'.repeat(3_000)}\r\n`)).toBe('HD ka2V5 b c1 Oxyz\r\n');
    expect(ask('ms big 700000 c\r\n')).toBe('');
    expect(ask(`${'w'.repeat(700_000)}\r\n`)).toBe('HD c2\r\n');
    expect(ask('mg big s\r\n')).toBe('HD s700000\r\n');
    expect(ask('ms other 3\r\n')).toBe('');
    expect(ask('xyz\r\n')).toBe('HD\r\n');
    server.core.verify();
  });

  it('throw a value away whose flags are wrong, but not one whose length is', () => {
    const { ask } = start();
    expect(ask('ms foo 3 S3\r\nget\r\nmn\r\n')).toBe('CLIENT_ERROR invalid flag\r\nMN\r\n');
    expect(ask('ms foo 3 c c\r\nget\r\nmn\r\n')).toBe('CLIENT_ERROR duplicate flag\r\nMN\r\n');
    expect(ask('ms foo x\r\nget\r\nmn\r\n')).toBe('CLIENT_ERROR bad command line format\r\nERROR\r\nMN\r\n');
  });

  it('hold no more references than an item can count', () => {
    const { server, ask } = start();
    ask('set foo 0 0 1\r\nx\r\n');
    expect(ask('mg foo\r\n'.repeat(100_000))).toBe('HD\r\n'.repeat(100_000));
    const { items } = server.core;
    const lru = Array.from({ length: 256 }, (_, id) => id).find((id) => items.lruItems(id) > 0)!;
    expect(items.refcount(items.head(lru))).toBe(1);
    server.core.verify();
  });
});

describe('Base64 of keys', () => {
  it('is that of Node for every length', () => {
    const u8 = new Uint8Array(1_000);
    for (let length = 1; length <= 250; length++) {
      const key = Uint8Array.from({ length }, (_, i) => (i * 37 + length) & 255);
      u8.set(key, 10);
      const end = encodeBase64(u8, 10, length, 400);
      expect(Buffer.from(u8.subarray(400, end)).toString('latin1')).toBe(Buffer.from(key).toString('base64'));
      expect(decodeBase64InPlace(u8, 400, end - 400)).toBe(length);
      expect(Buffer.from(u8.subarray(400, 400 + length)).equals(key)).toBe(true);
    }
  });

  it('is refused when it is not whole', () => {
    for (const text of ['', 'A', 'AA', 'AAA', '====', 'A===', 'AAAA=', '!!!!']) {
      const u8 = new Uint8Array(Buffer.from(text, 'latin1'));
      expect(decodeBase64InPlace(u8, 0, u8.length), text).toBe(0);
    }
  });
});
