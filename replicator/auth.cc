// SPDX-License-Identifier: BSD-2-Clause
#include "replicator/auth.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "fs/base/check.h"

namespace mirdax {
namespace {

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

struct MacFree {
  void operator()(EVP_MAC* mac) const { EVP_MAC_free(mac); }
  void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
};

}  // namespace

Key::~Key() { OPENSSL_cleanse(secret_.data(), secret_.size()); }

Result<std::shared_ptr<const Key>> Key::Load(const std::string& path) {
  // O_NONBLOCK: a FIFO in the place of the key must not hang the daemon.
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) {
    Error error = FromErrno(errno, path);
    error.message +=
        "; make a key file: (umask 077; head -c 32 /dev/urandom > KEY), the same on every node";
    return Fail(std::move(error));
  }
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return Fail(FromErrno(errno, path));
  if (!S_ISREG(status.st_mode))
    return Fail(ErrorCode::kInvalid, "{}: a key must be a regular file", path);
  if (status.st_uid != 0 && status.st_uid != geteuid())
    return Fail(ErrorCode::kInvalid,
                "{}: the key belongs to user {}, who can read it; run chown on it", path,
                status.st_uid);
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return Fail(ErrorCode::kInvalid,
                "{}: the key is accessible to group or others (mode {:04o}); run chmod 600 on it",
                path, status.st_mode & 07777U);
  std::vector<std::byte> secret(kMaxKeyBytes + 1);
  size_t length = 0;
  while (length < secret.size()) {
    const ssize_t count = read(file.get(), secret.data() + length, secret.size() - length);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Fail(FromErrno(errno, path));
    if (count == 0) break;
    length += static_cast<size_t>(count);
  }
  auto key = std::make_shared<Key>(std::move(secret));
  if (length < kMinKeyBytes || length > kMaxKeyBytes)
    return Fail(
        ErrorCode::kInvalid,
        "{}: a key has {} to {} bytes; make one: (umask 077; head -c 32 /dev/urandom > KEY)", path,
        kMinKeyBytes, kMaxKeyBytes);
  key->secret_.resize(length);
  return key;
}

Mac Key::Prove(std::string_view label, std::span<const std::byte> hello,
               std::span<const std::byte> challenge) const {
  const std::unique_ptr<EVP_MAC, MacFree> hmac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
  MIRDAX_CHECK(hmac != nullptr);
  const std::unique_ptr<EVP_MAC_CTX, MacFree> context(EVP_MAC_CTX_new(hmac.get()));
  MIRDAX_CHECK(context != nullptr);
  std::array<char, 7> digest = {'S', 'H', 'A', '2', '5', '6', 0};
  const std::array<OSSL_PARAM, 2> params = {
      OSSL_PARAM_construct_utf8_string("digest", digest.data(), 0), OSSL_PARAM_construct_end()};
  const auto update = [&](const void* data, size_t size) {
    return EVP_MAC_update(context.get(), static_cast<const unsigned char*>(data), size) == 1;
  };
  // Lengths go in as well, so that bytes cannot move from one part to the next.
  const std::array<uint64_t, 3> lengths = {label.size(), hello.size(), challenge.size()};
  Mac mac{};
  size_t mac_size = 0;
  const bool ok =
      EVP_MAC_init(context.get(), reinterpret_cast<const unsigned char*>(secret_.data()),
                   secret_.size(), params.data()) == 1 &&
      update(lengths.data(), sizeof(lengths)) && update(label.data(), label.size()) &&
      update(hello.data(), hello.size()) && update(challenge.data(), challenge.size()) &&
      EVP_MAC_final(context.get(), mac.data(), &mac_size, mac.size()) == 1;
  MIRDAX_CHECK(ok && mac_size == mac.size());
  return mac;
}

Mac Key::ProofOfClient(std::span<const std::byte> hello,
                       std::span<const std::byte> challenge) const {
  return Prove("mirdax 1 client", hello, challenge);
}

Mac Key::ProofOfServer(std::span<const std::byte> hello,
                       std::span<const std::byte> challenge) const {
  return Prove("mirdax 1 server", hello, challenge);
}

bool SameMac(const Mac& a, const Mac& b) noexcept {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace mirdax
