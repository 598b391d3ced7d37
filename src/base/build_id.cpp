#include "base/build_id.h"

#if defined(__linux__)
#include <elf.h>
#include <link.h>

#include <cstring>
#endif

namespace tenon {

#if defined(__linux__)
namespace {

struct Search {
  uintptr_t code;  ///< an address inside the object looked for
  std::string id;
};

/// Of every object loaded, in turn: that with Search::code, and the note of its build id.
int look(dl_phdr_info* object, size_t, void* to) {
  Search& search = *static_cast<Search*>(to);
  const auto segments = [&](auto&& f) {
    for (int i = 0; i < object->dlpi_phnum; ++i) f(object->dlpi_phdr[i]);
  };
  bool inside = false;
  segments([&](const ElfW(Phdr) & s) { inside |= s.p_type == PT_LOAD && search.code - (object->dlpi_addr + s.p_vaddr) < s.p_memsz; });
  if (!inside) return 0;
  segments([&](const ElfW(Phdr) & s) {
    if (s.p_type != PT_NOTE) return;
    const auto* at = reinterpret_cast<const unsigned char*>(object->dlpi_addr + s.p_vaddr);
    const auto* const end = at + s.p_memsz;
    while (static_cast<size_t>(end - at) >= sizeof(ElfW(Nhdr))) {
      ElfW(Nhdr) note;
      std::memcpy(&note, at, sizeof note);
      const auto padded = [](size_t n) { return (n + 3) / 4 * 4; };
      const unsigned char* const name = at + sizeof note;
      const unsigned char* const id = name + padded(note.n_namesz);
      if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(name, "GNU", 4) == 0) {
        for (size_t i = 0; i < note.n_descsz; ++i) {
          search.id += "0123456789abcdef"[id[i] >> 4];
          search.id += "0123456789abcdef"[id[i] & 15];
        }
      }
      at = id + padded(note.n_descsz);
    }
  });
  return 1;
}

}  // namespace
#endif

std::string build_id() {
#if defined(__linux__)
  Search search{reinterpret_cast<uintptr_t>(&look), {}};
  dl_iterate_phdr(look, &search);
  return search.id;
#else
  return {};
#endif
}

}  // namespace tenon
