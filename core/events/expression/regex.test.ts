import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Meter } from './meter.ts';
import { regexMatches } from './regex-match.ts';
import { RegexError } from './regex-parse.ts';

function matches(pattern: string, text: string): boolean {
  return regexMatches(pattern, text, new Meter(1_000_000));
}

describe('regexMatches', () => {
  it.each([
    ['', '', true],
    ['abc', 'xabcx', true],
    ['^abc$', 'xabc', false],
    ['a.c', 'a\nc', false],
    ['(?s)a.c', 'a\nc', true],
    ['(?i)AbC', 'aBc', true],
    ['(?i:a)b', 'Ab', true],
    ['(?i:a)b', 'AB', false],
    ['(?m)^b$', 'a\nb\nc', true],
    ['\\Ab', 'a\nb', false],
    ['[[:alpha:]]+\\d{2,3}$', 'ab12', true],
    ['^[^a-c]+$', 'xyz', true],
    ['^[]a-]+$', ']-a', true],
    ['^\\pL+$', 'éß字', true],
    ['^\\p{Greek}+$', 'αβγ', true],
    ['^\\P{L}+$', '12', true],
    ['\\bfoo\\b', 'a foo b', true],
    ['\\bfoo\\b', 'afoob', false],
    ['^\\x41\\x{1F600}$', 'A😀', true],
    ['^.$', '😀', true],
    ['^(?P<year>\\d{4})-(\\d\\d)$', '2026-01', true],
    ['^a{,2}$', 'a{,2}', true],
    ['^(a|b)*?c+?$', 'abbac', true],
    ['^(?:)*$', '', true],
    ['[\\d.]+@', '1.5@', true],
  ])('%s on %j is %j', (pattern, text, expected) => {
    expect(matches(pattern, text)).toBe(expected);
  });

  it.each([
    '(',
    ')',
    'a)',
    '[a',
    '*a',
    '\\',
    'a{1001}',
    'a{3,2}',
    '(?=a)',
    '(?<!a)b',
    '\\1',
    '\\q',
    '[b-a]',
    '[[:nope:]]',
    '\\p{Nope}',
    '((a{100}){100}){100}',
    '('.repeat(60),
    'a'.repeat(2_000),
  ])('refuses %j', (pattern) => {
    expect(() => matches(pattern, 'a')).toThrow(RegexError);
  });

  it('agrees with JavaScript where the two languages do', () => {
    const pattern = fc.letrec<{ node: string }>((tie) => ({
      node: fc.oneof(
        { maxDepth: 4 },
        { weight: 4, arbitrary: fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\w', '\\d', '^', '$', '\\b') },
        { weight: 3, arbitrary: fc.tuple(tie('node'), tie('node')).map(([a, b]) => a + b) },
        { weight: 1, arbitrary: fc.tuple(tie('node'), tie('node')).map(([a, b]) => `(?:${a}|${b})`) },
        {
          weight: 2,
          arbitrary: fc
            .tuple(tie('node'), fc.constantFrom('*', '+', '?', '{2}', '{1,2}', '{2,}', '*?'))
            .map(([a, q]) => `(?:${a})${q}`),
        },
      ),
    })).node;
    fc.assert(
      fc.property(pattern, fc.stringMatching(/^[ab1 ]{0,8}$/), (source, text) => {
        expect(matches(source, text)).toBe(new RegExp(source, 'u').test(text));
      }),
      { numRuns: 3_000 },
    );
  });

  it('throws nothing but RegexError', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[ab\\()[\]{}|*+?^$.,0-9:PpLdwx-]{0,20}$/), fc.string(), (pattern, text) => {
        try {
          return typeof matches(pattern, text) === 'boolean';
        } catch (error) {
          return error instanceof RegexError;
        }
      }),
      { numRuns: 3_000 },
    );
  });
});
