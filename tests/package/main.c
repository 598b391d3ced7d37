#include <stdio.h>
#include <tenon/tenon.h>

int main(void) {
  printf("%s\n", tenon_version_string().data);
  return tenon_operator_count() > 0 ? 0 : 1;
}
