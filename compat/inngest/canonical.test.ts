import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson, canonicalObject, NestingError } from './canonical.ts';

test('agrees with the reference implementation of RFC 8785', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const parsed: unknown = JSON.parse(JSON.stringify(value));
      expect(canonicalJson(parsed)).toBe(canonicalize(parsed));
    }),
  );
});

test('sorts members by UTF-16 code units at every level', () => {
  expect(canonicalJson({ b: { z: 1, a: 2 }, a: [], '€': 1, '\r': 2 })).toBe('{"\\r":2,"a":[],"b":{"a":2,"z":1},"€":1}');
});

test('an absurd depth is an error of its own, not a crash', () => {
  let value: unknown = null;
  for (let i = 0; i < 5_000; i++) value = [value];
  expect(() => canonicalJson(value)).toThrow(NestingError);
});

test('members that are canonical already are only ordered', () => {
  expect(
    canonicalObject([
      ['b', '{"x":1}'],
      ['a', 'null'],
      ['c', undefined],
    ]),
  ).toBe('{"a":null,"b":{"x":1}}');
});
