#include "angles.h"

namespace farthing {
namespace {

// Taylor series on [-pi/4, pi/4], the first left-out term below 1e-17.
double sine(double r) {
  const double rr = r * r;
  double tail = 1.0;
  for (int k = 18; k >= 2; k -= 2) tail = 1.0 - rr * tail / (k * (k + 1));
  return r * tail;
}

double cosine(double r) {
  const double rr = r * r;
  double tail = 1.0;
  for (int k = 17; k >= 1; k -= 2) tail = 1.0 - rr * tail / (k * (k + 1));
  return tail;
}

}  // namespace

void angles_of(const float* frequencies, size_t count, int32_t position, float magnitude,
               float* out) {
  for (size_t i = 0; i < count; ++i) {
    // The product is rounded to fp32, as the models were trained.
    const double angle = static_cast<float>(position) * frequencies[i];
    // pi/2 in two parts, the first of 33 bits, so that quarter * first is exact below 2^20.
    const double quarter = (angle * 0.63661977236758134 + 0x1.8p52) - 0x1.8p52;
    const double r =
        (angle - quarter * 1.57079632673412561417) - quarter * 6.07710050650619224932e-11;
    const double s = sine(r), c = cosine(r);
    switch (static_cast<int64_t>(quarter) & 3) {
      case 0:
        out[i] = static_cast<float>(c) * magnitude;
        out[count + i] = static_cast<float>(s) * magnitude;
        break;
      case 1:
        out[i] = static_cast<float>(-s) * magnitude;
        out[count + i] = static_cast<float>(c) * magnitude;
        break;
      case 2:
        out[i] = static_cast<float>(-c) * magnitude;
        out[count + i] = static_cast<float>(-s) * magnitude;
        break;
      default:
        out[i] = static_cast<float>(s) * magnitude;
        out[count + i] = static_cast<float>(-c) * magnitude;
    }
  }
}

}  // namespace farthing
