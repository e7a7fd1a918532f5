/* Parses bitbake files with tree-sitter and prints what it found: for each file its path, then a line for each node:
   depth, E for what is an error or missing, type, first and last byte. */
#include <stdio.h>
#include <stdlib.h>
#include <tree_sitter/api.h>

const TSLanguage *tree_sitter_bitbake(void);

static void print_node(TSNode node, int depth) {
  int wrong = ts_node_is_missing(node) || ts_node_symbol(node) == (TSSymbol)-1;
  printf("%d %c %s %u %u\n", depth, wrong ? 'E' : '-', ts_node_type(node), ts_node_start_byte(node), ts_node_end_byte(node));
  for (uint32_t i = 0; i < ts_node_child_count(node); i++) print_node(ts_node_child(node, i), depth + 1);
}

int main(int count, char **paths) {
  TSParser *parser = ts_parser_new();
  if (!ts_parser_set_language(parser, tree_sitter_bitbake())) {
    fputs("this tree-sitter does not know the grammar's version\n", stderr);
    return 1;
  }
  for (int i = 1; i < count; i++) {
    FILE *file = fopen(paths[i], "rb");
    if (!file) {
      perror(paths[i]);
      return 1;
    }
    size_t size = 0, room = 1 << 16;
    char *text = malloc(room);
    for (size_t got; (got = fread(text + size, 1, room - size, file)) > 0;) {
      size += got;
      if (size == room) text = realloc(text, room *= 2);
    }
    fclose(file);
    TSTree *tree = ts_parser_parse_string(parser, NULL, text, (uint32_t)size);
    printf("# %s\n", paths[i]);
    print_node(ts_tree_root_node(tree), 0);
    ts_tree_delete(tree);
    free(text);
  }
  return 0;
}
