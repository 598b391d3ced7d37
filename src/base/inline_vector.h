// A vector whose first elements lie in the object itself, so that the many short lists of types and plans cost no allocation.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace tenon {

/// As std::vector, as far as it goes, with room for `N` elements before anything is allocated. Moving moves the elements when they lie
/// inside, and empties the source. What loops over elements is kept out of line: types are copied in very many places.
template <class T, size_t N>
class InlineVector {
  static_assert(std::is_nothrow_move_constructible_v<T> && alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);

 public:
  using value_type = T;
  using iterator = T*;
  using const_iterator = const T*;

  InlineVector() {}
  explicit InlineVector(size_t n) { resize(n); }
  InlineVector(size_t n, const T& value) { assign(n, value); }
  InlineVector(std::initializer_list<T> values) { append(values.begin(), values.end()); }
  template <std::forward_iterator It>
  InlineVector(It first, It last) {
    append(first, last);
  }
  InlineVector(const InlineVector& other) { copy(other); }
  InlineVector(InlineVector&& other) noexcept { take(other); }
  ~InlineVector() { release(); }

  InlineVector& operator=(const InlineVector& other) {
    if (this != &other) {
      clear();
      copy(other);
    }
    return *this;
  }
  InlineVector& operator=(InlineVector&& other) noexcept {
    if (this != &other) {
      release();
      data_ = inside();
      capacity_ = N;
      take(other);
    }
    return *this;
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  auto rbegin() const { return std::make_reverse_iterator(end()); }
  auto rend() const { return std::make_reverse_iterator(begin()); }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  T& front() { return data_[0]; }
  const T& front() const { return data_[0]; }
  T& back() { return data_[size_ - 1]; }
  const T& back() const { return data_[size_ - 1]; }

  void reserve(size_t n) {
    if (n > capacity_) grow(n);
  }
  void clear() { shrink(0); }
  void resize(size_t n) {
    reserve(n);
    if (n < size_) shrink(n);
    while (size_ < n) ::new (data_ + size_++) T();
  }
  void assign(size_t n, const T& value) {
    clear();
    reserve(n);
    while (size_ < n) ::new (data_ + size_++) T(value);
  }
  /// `args` may refer to elements only where there is room left.
  template <class... Args>
  T& emplace_back(Args&&... args) {
    if (size_ == capacity_) grow(size_t{size_} + 1);
    return *::new (data_ + size_++) T(std::forward<Args>(args)...);
  }
  void push_back(T value) { emplace_back(std::move(value)); }
  void pop_back() { shrink(size_ - 1); }
  T* insert(const T* at, T value) {
    const auto i = at - data_;
    emplace_back(std::move(value));
    std::rotate(data_ + i, end() - 1, end());
    return data_ + i;
  }
  /// [first, last) are no elements of this vector.
  template <std::forward_iterator It>
  T* insert(const T* at, It first, It last) {
    const auto i = at - data_;
    const size_t before = size_;
    append(first, last);
    std::rotate(data_ + i, data_ + before, end());
    return data_ + i;
  }
  T* erase(const T* first, const T* last) {
    T* const at = data_ + (first - data_);
    std::move(data_ + (last - data_), end(), at);
    shrink(size_ - static_cast<size_t>(last - first));
    return at;
  }
  T* erase(const T* at) { return erase(at, at + 1); }

  friend bool operator==(const InlineVector& a, const InlineVector& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

 private:
  T* inside() { return reinterpret_cast<T*>(room_); }
  bool is_inside() const { return reinterpret_cast<const std::byte*>(data_) == room_; }

  template <class It>
  void append(It first, It last) {
    reserve(size_ + static_cast<size_t>(std::distance(first, last)));
    for (; first != last; ++first) ::new (data_ + size_++) T(*first);
  }
  [[gnu::noinline]] void copy(const InlineVector& other) { append(other.begin(), other.end()); }
  void shrink(size_t n) {
    std::destroy(data_ + n, data_ + size_);
    size_ = static_cast<uint32_t>(n);
  }
  [[gnu::noinline]] void release() {
    std::destroy_n(data_, size_);
    if (!is_inside()) ::operator delete(static_cast<void*>(data_));
    size_ = 0;
  }
  /// Becomes what `other` was; *this is empty.
  [[gnu::noinline]] void take(InlineVector& other) {
    if (other.is_inside()) {
      std::uninitialized_move_n(other.data_, other.size_, data_);
      size_ = other.size_;
      other.clear();
      return;
    }
    data_ = std::exchange(other.data_, other.inside());
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, static_cast<uint32_t>(N));
  }
  [[gnu::noinline]] void grow(size_t least) {
    const size_t room = std::max(least, size_t{capacity_} * 2);
    T* const to = static_cast<T*>(::operator new(room * sizeof(T)));
    std::uninitialized_move_n(data_, size_, to);
    const uint32_t n = size_;
    release();
    data_ = to;
    size_ = n;
    capacity_ = static_cast<uint32_t>(room);
  }

  T* data_ = inside();
  uint32_t size_ = 0;
  uint32_t capacity_ = N;
  alignas(T) std::byte room_[N * sizeof(T)];
};

}  // namespace tenon
