/** Facts of the commands of the group "generic", as Redis 7.0.15 reports them (COMMAND INFO, COMMAND DOCS); the prose is our own. */
import type { CommandFacts } from './facts.ts';

export const genericMoreCommands: readonly CommandFacts[] = [
  {
    name: 'migrate',
    arity: -6,
    since: '2.6.0',
    group: 'generic',
    complexity: 'O(N), N being the bytes of the values',
    summary: 'Moves keys to another server.',
    flags: 'write movablekeys',
    categories: '@keyspace @write @slow @dangerous',
    keys: [3, 3, 1],
    tips: ['nondeterministic_output'],
    keySpecs: [
      { flags: 'RW access delete', index: 3, range: [0, 1, 0] },
      { flags: 'RW access delete incomplete', index: 0, keyword: ['KEYS', -2], range: [-1, 1, 0] },
    ],
    history: [
      ['3.0.0', 'COPY and REPLACE'],
      ['3.0.6', 'KEYS'],
      ['4.0.7', 'AUTH'],
      ['6.0.0', 'AUTH2'],
    ],
    arguments: [
      { name: 'host', type: 'string' },
      { name: 'port', type: 'integer' },
      {
        name: 'key_or_empty_string',
        type: 'oneof',
        arguments: [
          { name: 'key', type: 'key', keySpecIndex: 0 },
          { name: 'empty_string', type: 'pure-token', token: '' },
        ],
      },
      { name: 'destination-db', type: 'integer' },
      { name: 'timeout', type: 'integer' },
      { name: 'copy', type: 'pure-token', token: 'COPY', since: '3.0.0', flags: 'optional' },
      { name: 'replace', type: 'pure-token', token: 'REPLACE', since: '3.0.0', flags: 'optional' },
      {
        name: 'authentication',
        type: 'oneof',
        flags: 'optional',
        arguments: [
          { name: 'password', type: 'string', token: 'AUTH', since: '4.0.7', flags: 'optional' },
          {
            name: 'username_password',
            type: 'block',
            token: 'AUTH2',
            since: '6.0.0',
            flags: 'optional',
            arguments: [
              { name: 'username', type: 'string' },
              { name: 'password', type: 'string' },
            ],
          },
        ],
      },
      { name: 'key', type: 'key', keySpecIndex: 1, token: 'KEYS', since: '3.0.6', flags: 'optional multiple' },
    ],
  },
];
