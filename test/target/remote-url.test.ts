import { describe, expect, it } from 'vitest';
import { keyName } from '../../harness/target/remote-target.ts';
import { maskCredentials, parseRemoteUrl } from '../../harness/target/remote-url.ts';

describe('the address of a remote', () => {
  it('takes host, port, database and credentials from a redis URL', () => {
    expect(parseRemoteUrl('redis://me:s%40crit@db.example:7000/3', 'redis')).toEqual({
      engine: 'redis',
      address: { kind: 'tcp', host: 'db.example', port: 7000 },
      username: 'me',
      password: 's@crit',
      database: 3,
    });
  });

  it('knows the usual ports, TLS, IPv6 and memcached', () => {
    expect(parseRemoteUrl('redis://h', 'memcached').address).toEqual({ kind: 'tcp', host: 'h', port: 6379 });
    expect(parseRemoteUrl('memcached://[::1]', 'redis')).toMatchObject({
      engine: 'memcached',
      address: { kind: 'tcp', host: '::1', port: 11211 },
    });
    expect(parseRemoteUrl('rediss://h:1', 'redis').address).toEqual({
      kind: 'tcp',
      host: 'h',
      port: 1,
      tls: { servername: 'h' },
    });
  });

  it('reads Unix sockets with one or three slashes', () => {
    for (const text of ['unix:/run/r.sock', 'unix:///run/r.sock']) {
      expect(parseRemoteUrl(text, 'redis').address).toEqual({ kind: 'unix', path: '/run/r.sock' });
    }
    expect(parseRemoteUrl('unix:/r?database=2', 'redis').database).toBe(2);
  });

  it.each(['http://h', 'redis://', 'nonsense', 'memcached://h/1', 'redis://h/x', 'unix:relative'])(
    'refuses %s in one line',
    (text) => {
      expect(() => parseRemoteUrl(text, 'redis')).toThrow(/^Cannot parse target ".*": [^\n]+$/);
    },
  );

  it('never shows a password', () => {
    expect(() => parseRemoteUrl('http://me:secret@h', 'redis')).toThrow(/^(?!.*secret).*me:\*\*\*@h/);
    expect(maskCredentials('a redis://:pw@h/0 and unix:/x')).toBe('a redis://:***@h/0 and unix:/x');
  });

  it('names keys as the load does', () => {
    expect(keyName('key:', 16, 42)).toBe('key:000000000042');
    expect(keyName('k', 0, 42)).toBe('k42');
  });
});
