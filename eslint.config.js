import js from '@eslint/js';
import nx from '@nx/eslint-plugin';
import prettier from 'eslint-config-prettier';
import ts from 'typescript-eslint';

const floors = [0, 1, 2, 3, 4, 5, 6, 7];

export default ts.config(
  { ignores: ['**/dist', '**/out-tsc', '**/node_modules', '.nx', 'templates', 'layers'] },
  js.configs.recommended,
  ...ts.configs.recommended,
  prettier,
  {
    files: ['**/*.ts'],
    plugins: { '@nx': nx },
    rules: {
      // A package imports only from lower floors, never sideways (docs/design.md, "The floors").
      '@nx/enforce-module-boundaries': [
        'error',
        {
          depConstraints: floors.map((floor) => ({
            sourceTag: `floor:${floor}`,
            onlyDependOnLibsWithTags: floors.filter((lower) => lower < floor).map((lower) => `floor:${lower}`),
          })),
        },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': 'error',
      eqeqeq: ['error', 'always'],
    },
  },
  {
    files: ['**/*.mjs', '**/*.js'],
    languageOptions: {
      globals: {
        process: 'readonly',
        console: 'readonly',
        Buffer: 'readonly',
        URL: 'readonly',
        setTimeout: 'readonly',
        clearTimeout: 'readonly',
      },
    },
  },
);
